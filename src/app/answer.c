#include "answer.h"

#include "clock.h"
#include "creds.h"
#include "deps-versions.h"
#include "log.h"
#include "output.h"
#include "report.h"
#include "run.h"
#include "status.h"
#include "store.h"
#include "store_open.h"
#include "tls.h"
#include "version.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)16 * 1024 * 1024)
#define DESCRIPTION_SIZE 512

int answer_print_within(struct buf *out, int64_t patience, int code)
{
    bool written = !out->failed && output_write(STDOUT_FILENO, buf_str(out), out->len, &patience) == out->len;

    if (!written)
        log_error("cannot write to standard output");
    buf_free(out);
    return written ? code : 1;
}

int answer_print(struct buf *out, int code)
{
    return answer_print_within(out, OUTPUT_FOREVER, code);
}

int answer_help(bool all)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    options_help(all, &out);
    return answer_print(&out, 0);
}

int answer_version(void)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    buf_printf(&out, "storsync-init %s\n", STORSYNC_VERSION);
    for (size_t i = 0; i < sizeof deps_versions / sizeof deps_versions[0]; i++) {
        if (strcmp(deps_versions[i].name, "ca-certificates") != 0)
            buf_printf(&out, "  %s %s\n", deps_versions[i].name, deps_versions[i].version);
    }
    if (tls_roots_count() > 0)
        buf_printf(&out, "  ca-certificates %s (%zu authorities, for machines that have none)\n",
                   tls_roots_version(), tls_roots_count());
    return answer_print(&out, 0);
}

/* Where a side's credentials would come from, or why that cannot be right; asks nobody. */
static void describe_credentials(const struct side *side, struct buf *out)
{
    struct error error = {0};
    struct creds *creds;

    if (!store_needs_network(side)) {
        buf_puts(out, "none needed");
        return;
    }
    creds = creds_open(side, NULL, &error);
    buf_puts(out, creds != NULL ? creds_source(creds) : error.text);
    creds_close(creds);
}

static const struct side *side_of(const struct settings *settings, int index)
{
    return index == 0 ? &settings->source : &settings->destination;
}

static const char *const side_names[] = {"source", "destination"};

/* A run finds at its first look that a directory is not there. That asks nobody, so it can be found now. */
static bool look_into(struct store *store, int index, const struct settings *settings, struct error *error)
{
    struct call call;

    if (store_needs_network(side_of(settings, index)))
        return true;
    call_init(&call);
    store_head(store, &call, OBJECT_STATE_PREFIX "check");
    if (!store_wait(&call) && call.error.kind != ERROR_NOT_FOUND)
        *error = call.error;
    call_free(&call);
    return error->kind == ERROR_NONE;
}

/* A run ends with what is wrong with the source; whoever checks wants to hear of the destination as well. */
static void check_destination_too(const struct run *run)
{
    struct error error = {.kind = ERROR_NONE};
    struct store *store = run_open_side(run, &run->settings->destination, &error);

    if (store == NULL || !look_into(store, 1, run->settings, &error))
        log_error("%s", error.text);
    store_close(store);
}

/* What a run would find before it asks anybody, by the code that finds it there. */
static bool check_stores(const struct options *options, const struct settings *settings, struct error *error)
{
    const struct detection unknown = {.platform = "", .hint = ""};
    struct run run;
    bool source, good;

    run_begin(&run, options, settings, &unknown, clock_mono(), NULL);
    good = run_open(&run, error);
    source = run.source != NULL && (!good || look_into(run.source, 0, settings, error));
    if (source)
        good = good && look_into(run.destination, 1, settings, error);
    else if (run.loop != NULL)
        check_destination_too(&run);
    run_end(&run);
    return source && good;
}

static bool is_problem(const struct settings *settings, const char *text)
{
    for (int i = 0; settings_problem(settings, i) != NULL; i++)
        if (strcmp(settings_problem(settings, i), text) == 0)
            return true;
    return false;
}

/* All that keeps a run from its beginning, each once. */
static void tell_refusals(const struct settings *settings, const struct error *error)
{
    if (error->kind != ERROR_NONE && !is_problem(settings, error->text))
        log_error("%s", error->text);
    for (int i = 0; settings_refusal(settings, i) != NULL; i++) {
        const char *text = settings_refusal(settings, i);

        if (strcmp(text, error->text) != 0 && !is_problem(settings, text))
            log_error("%s", text);
    }
}

static void tell_credentials(const struct settings *settings, int index)
{
    struct buf text;

    buf_init(&text, OUTPUT_MAX);
    describe_credentials(side_of(settings, index), &text);
    log_info("credentials of the %s: %s", side_names[index], buf_str(&text));
    buf_free(&text);
}

int answer_check_config(const struct options *options, const struct settings *settings, struct error *error)
{
    bool good = error->kind == ERROR_NONE && check_stores(options, settings, error);

    tell_refusals(settings, error);
    for (int i = 0; good && i < 2; i++)
        tell_credentials(settings, i);
    for (int i = 0; settings_problem(settings, i) != NULL; i++) {
        log_error("%s", settings_problem(settings, i));
        good = false;
    }
    if (good)
        log_info(settings_note(settings, 0) != NULL || settings_assumption(settings, 0) != NULL
                     ? "the configuration can be used; is what is warned about meant so?"
                     : "the configuration is fine");
    return good ? 0 : 78;
}

int answer_print_config(const struct settings *settings, bool json, const struct error *error)
{
    struct settings_remark remarks[] = {{.name = "credentials"}, {.name = "authorities"}};
    char authorities[2][DESCRIPTION_SIZE];
    struct buf credentials[2], out;
    bool printed;

    if (error->kind != ERROR_NONE)
        log_error("%s", error->text);
    for (int i = 0; i < 2; i++) {
        buf_init(&credentials[i], OUTPUT_MAX);
        describe_credentials(side_of(settings, i), &credentials[i]);
        tls_describe(side_of(settings, i)->ca_file, authorities[i], sizeof authorities[i]);
    }
    remarks[0].source = buf_str(&credentials[0]);
    remarks[0].destination = buf_str(&credentials[1]);
    remarks[1].source = authorities[0];
    remarks[1].destination = authorities[1];
    buf_init(&out, OUTPUT_MAX);
    printed =
        json ? settings_print_json(settings, remarks, 2, &out) : settings_print(settings, remarks, 2, &out);
    out.failed = !printed;
    buf_free(&credentials[0]);
    buf_free(&credentials[1]);
    return answer_print(&out, error_exit_code(error));
}

int answer_status(const struct settings *settings, bool json)
{
    struct error error;
    struct buf document;
    struct buf text;
    bool known;

    buf_init(&document, OUTPUT_MAX);
    buf_init(&text, OUTPUT_MAX);
    known = status_read(settings->status_file, &document, NULL, &error) &&
            (json || report_text(buf_str(&document), document.len, &text, &error));
    if (!known) {
        buf_free(&document);
        buf_free(&text);
        log_error("%s", error.text);
        return 1;
    }
    if (json) {
        buf_free(&text);
        return answer_print(&document, 0);
    }
    buf_free(&document);
    return answer_print(&text, 0);
}

int answer_health(const struct settings *settings)
{
    struct error error;
    struct buf document;
    struct buf why;
    int code;

    buf_init(&document, OUTPUT_MAX);
    buf_init(&why, OUTPUT_MAX);
    if (status_read(settings->status_file, &document, NULL, &error)) {
        code = status_health(&document, &why);
    } else {
        buf_puts(&why, error.text);
        code = 1;
    }
    buf_free(&document);
    buf_putc(&why, '\n');
    return answer_print(&why, code);
}
