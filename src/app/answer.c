#include "answer.h"

#include "clock.h"
#include "creds.h"
#include "deps-versions.h"
#include "detect.h"
#include "json.h"
#include "log.h"
#include "output.h"
#include "report.h"
#include "run.h"
#include "status.h"
#include "store.h"
#include "store_open.h"
#include "text.h"
#include "tls.h"
#include "version.h"

#include <stddef.h>
#include <stdio.h>
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
static void check_destination_too(const struct run *run, struct error *error)
{
    struct store *store = run_open_side(run, &run->settings->destination, error);

    if (store == NULL || !look_into(store, 1, run->settings, error))
        log_error("%s", error->text);
    store_close(store);
}

/* What a run would find before it asks anybody, by the code that finds it there; and in *second what it would find after
 * that. */
static bool check_stores(const struct options *options, const struct settings *settings, struct error *error,
                         struct error *second)
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
        check_destination_too(&run, second);
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
    store_describe_credentials(side_of(settings, index), &text);
    log_info("credentials of the %s: %s", side_names[index], buf_str(&text));
    buf_free(&text);
}

static bool put_check_error(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct error *error)
{
    bool failed = error->kind != ERROR_NONE;

    return json_add_text(doc, object, "error", failed ? error->text : NULL) &&
           json_add_text(doc, object, "kind", error_kind_name(error->kind)) &&
           json_add_text(doc, object, "side", failed ? error->side : NULL);
}

/* The first of two errors is that of a run; `errors` has both. */
static bool put_check_errors(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct error errors[2])
{
    bool ok = put_check_error(doc, root, &errors[0]);
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "errors");

    for (int i = 0; ok && i < 2; i++)
        if (errors[i].kind != ERROR_NONE)
            ok = put_check_error(doc, yyjson_mut_arr_add_obj(doc, array), &errors[i]);
    return ok;
}

/* The same and more as JSON. */
static bool put_check(const struct settings *settings, const struct error errors[2], bool good,
                      struct buf *out)
{
    static const struct {
        const char *name;
        const char *(*line)(const struct settings *, int);
    } lists[] = {
        {"refusals", settings_refusal},
        {"problems", settings_problem},
        {"notes", settings_note},
        {"assumptions", settings_assumption},
    };
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    bool ok = yyjson_mut_obj_add_bool(doc, root, "valid", good) && put_check_errors(doc, root, errors);

    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; ok && i < sizeof lists / sizeof lists[0]; i++) {
        yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, lists[i].name);

        for (int n = 0; ok && lists[i].line(settings, n) != NULL; n++)
            ok = yyjson_mut_arr_append(array, json_make_text(doc, lists[i].line(settings, n)));
    }
    ok = ok && json_write(doc, true, out);
    yyjson_mut_doc_free(doc);
    return ok && buf_putc(out, '\n');
}

static int print_check(const struct settings *settings, const struct error errors[2], int code)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    out.failed |= !put_check(settings, errors, code == 0, &out);
    return answer_print(&out, code);
}

int answer_check_config(const struct options *options, const struct settings *settings, struct error *error)
{
    struct error errors[2] = {[1] = {.kind = ERROR_NONE}};
    bool good = error->kind == ERROR_NONE && check_stores(options, settings, error, &errors[1]);

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
    errors[0] = *error;
    return options->json ? print_check(settings, errors, good ? 0 : 78) : good ? 0 : 78;
}

/* The region that requests to this side are signed for at first. */
static const char *effective_region(const struct side *side, char *out, size_t room)
{
    struct error ignored;
    struct creds *creds = store_is_s3(side) ? creds_open(side, NULL, &ignored) : NULL;
    const char *region = creds != NULL && *side->region == '\0' ? creds_region(creds) : side->region;

    if (!store_is_s3(side))
        region = "none needed";
    snprintf(out, room, "%s", *region != '\0' ? region : "us-east-1");
    creds_close(creds);
    return out;
}

/* What counts in the end, wherever it comes from. */
struct effects {
    struct detection detection;
    char environment[160], deployment[DETECT_ID_MAX + 128];
    char regions[2][DESCRIPTION_SIZE];
};

static int describe_effects(const struct settings *settings, struct effects *effects,
                            struct settings_remark *remarks)
{
    struct detection *found = &effects->detection;

    detect(settings, (const char *const *)environ, found);
    snprintf(effects->environment, sizeof effects->environment, "%s (%s)",
             found->production ? "production" : "development", found->environment_source);
    if (found->deployment_id[0] != '\0')
        snprintf(effects->deployment, sizeof effects->deployment, "%s (%s)", found->deployment_id,
                 found->deployment_source);
    else
        snprintf(effects->deployment, sizeof effects->deployment, "no id");
    remarks[0] = (struct settings_remark){.name = "environment", .source = effects->environment};
    remarks[1] = (struct settings_remark){.name = "deployment", .source = effects->deployment};
    remarks[2] = (struct settings_remark){
        .name = "status file",
        .source =
            *settings->status_file != '\0' ? settings->status_file : STATUS_DEFAULT " or " STATUS_FALLBACK,
    };
    remarks[3] = (struct settings_remark){
        .name = "region",
        .source = effective_region(&settings->source, effects->regions[0], DESCRIPTION_SIZE),
        .destination = effective_region(&settings->destination, effects->regions[1], DESCRIPTION_SIZE),
    };
    return 4;
}

int answer_print_config(const struct settings *settings, bool json, const struct error *error)
{
    struct settings_remark remarks[6] = {{.name = "credentials"}, {.name = "authorities"}};
    struct effects effects;
    int count;
    char authorities[2][DESCRIPTION_SIZE];
    struct buf credentials[2], out;
    bool printed;

    if (error->kind != ERROR_NONE)
        log_error("%s", error->text);
    for (int i = 0; i < 2; i++) {
        buf_init(&credentials[i], OUTPUT_MAX);
        store_describe_credentials(side_of(settings, i), &credentials[i]);
        tls_describe(side_of(settings, i)->ca_file, authorities[i], sizeof authorities[i]);
    }
    remarks[0].source = buf_str(&credentials[0]);
    remarks[0].destination = buf_str(&credentials[1]);
    remarks[1].source = authorities[0];
    remarks[1].destination = authorities[1];
    count = 2 + describe_effects(settings, &effects, remarks + 2);
    buf_init(&out, OUTPUT_MAX);
    printed = json ? settings_print_json(settings, remarks, count, &out)
                   : settings_print(settings, remarks, count, &out);
    out.failed = !printed;
    buf_free(&credentials[0]);
    buf_free(&credentials[1]);
    return answer_print(&out, error_exit_code(error));
}

static bool is_in_path(const struct settings *settings, const char *key)
{
    for (int i = 0; i < settings_path_count(settings); i++)
        if (text_begins(key, settings_path(settings, i)))
            return true;
    return false;
}

/* Appends the reason, behind what is said of the key. */
static bool explain_key(const struct settings *settings, const char *key, struct buf *why)
{
    struct filter_verdict found = filter_look(settings_filter(settings), key);
    bool state = text_begins(key, OBJECT_STATE_PREFIX);
    bool in_path = is_in_path(settings, key);

    if (state)
        buf_puts(why, "what is there is the state of syncs");
    else if (!in_path)
        buf_puts(why, "none of the paths has it (public_object_search_paths, private_object_dir)");
    else if (found.rule != NULL)
        buf_printf(why, "%s \"%s\" (%s)", found.rule->include ? "include" : "exclude", found.rule->pattern,
                   found.rule->origin);
    else
        buf_puts(why, found.taken ? "no rule leaves it out" : "no rule includes it");
    if (found.taken && in_path && !state && settings->deletion != DELETE_OFF)
        buf_puts(why, "; where only production has it, it is removed (setting delete)");
    return found.taken && in_path && !state;
}

int answer_explain(const struct settings *settings, const char *key, bool json, struct error *error)
{
    struct buf why, out;
    bool synced;

    if (error->kind != ERROR_NONE || !settings_usable(settings, error)) {
        log_error("%s", error->text);
        return error_exit_code(error);
    }
    buf_init(&why, OUTPUT_MAX);
    buf_init(&out, OUTPUT_MAX);
    synced = explain_key(settings, key, &why);
    if (json) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);

        yyjson_mut_doc_set_root(doc, root);
        out.failed |=
            !(json_add_text(doc, root, "key", key) && yyjson_mut_obj_add_bool(doc, root, "synced", synced) &&
              json_add_text(doc, root, "reason", buf_str(&why)) && json_write(doc, true, &out));
        yyjson_mut_doc_free(doc);
        buf_putc(&out, '\n');
    } else {
        buf_printf(&out, "%s is %s: %s\n", key, synced ? "synced" : "not synced", buf_str(&why));
    }
    out.failed |= why.failed;
    buf_free(&why);
    return answer_print(&out, synced ? 0 : 1);
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

int answer_health(const struct settings *settings, bool json)
{
    struct error error;
    struct buf document;
    struct buf why;
    struct buf text;
    int code;

    buf_init(&document, OUTPUT_MAX);
    buf_init(&why, OUTPUT_MAX);
    if (status_read(settings->status_file, &document, NULL, &error)) {
        code = status_health(&document, &why);
    } else {
        buf_puts(&why, error.text);
        code = 1;
    }
    if (json) {
        buf_init(&text, OUTPUT_MAX);
        text.failed |= !status_health_json(&document, code, buf_str(&why), &text);
        buf_free(&why);
        why = text;
    }
    buf_free(&document);
    buf_putc(&why, '\n');
    return answer_print(&why, code);
}
