#include "answer.h"

#include "creds.h"
#include "deps-versions.h"
#include "log.h"
#include "report.h"
#include "status.h"
#include "store.h"
#include "tls.h"
#include "version.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)16 * 1024 * 1024)
#define DESCRIPTION_SIZE 512

int answer_print(struct buf *out, int code)
{
    bool written =
        !out->failed && fwrite(buf_str(out), 1, out->len, stdout) == out->len && fflush(stdout) == 0;

    if (!written)
        log_error("cannot write to standard output");
    buf_free(out);
    return written ? code : 1;
}

int answer_help(void)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    options_help(&out);
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

int answer_document(enum settings_doc form)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    settings_document(form, &out);
    return answer_print(&out, 0);
}

/* Where a side's credentials would come from; asks nobody. False: that cannot be right, and `out` says why. */
static bool describe_credentials(const struct side *side, struct buf *out)
{
    struct error error = {0};
    struct creds *creds;

    if (!store_needs_network(side))
        return buf_puts(out, "none needed");
    creds = creds_open(side, NULL, &error);
    buf_puts(out, creds != NULL ? creds_source(creds) : error.text);
    creds_close(creds);
    return error.kind == ERROR_NONE;
}

static const struct side *side_of(const struct settings *settings, int index)
{
    return index == 0 ? &settings->source : &settings->destination;
}

static const char *const side_names[] = {"source", "destination"};

int answer_check_config(const struct settings *settings, const struct error *error)
{
    int problems = 0;

    if (error->kind != ERROR_NONE) {
        log_error("%s", error->text);
        problems++;
    }
    for (int i = 0; settings_problem(settings, i) != NULL; i++) {
        log_error("%s", settings_problem(settings, i));
        problems++;
    }
    for (int i = 0; i < 2 && problems == 0; i++) {
        struct buf text;

        buf_init(&text, OUTPUT_MAX);
        if (describe_credentials(side_of(settings, i), &text)) {
            log_info("credentials of the %s: %s", side_names[i], buf_str(&text));
        } else {
            log_error("%s: %s", side_names[i], buf_str(&text));
            problems++;
        }
        buf_free(&text);
    }
    for (int i = 0; settings_note(settings, i) != NULL; i++)
        log_warn("%s", settings_note(settings, i));
    if (problems != 0)
        return 78;
    log_info("the configuration is fine");
    return 0;
}

int answer_print_config(const struct settings *settings, bool json)
{
    struct settings_remark remarks[] = {{.name = "credentials"}, {.name = "authorities"}};
    char authorities[2][DESCRIPTION_SIZE];
    struct buf credentials[2], out;
    bool printed;

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
    return answer_print(&out, 0);
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
