#include "answer.h"

#include "deps-versions.h"
#include "log.h"
#include "report.h"
#include "status.h"
#include "tls.h"
#include "version.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)16 * 1024 * 1024)

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
    for (int i = 0; settings_note(settings, i) != NULL; i++)
        log_warn("%s", settings_note(settings, i));
    if (problems != 0)
        return 78;
    log_info("the configuration is fine");
    return 0;
}

int answer_print_config(const struct settings *settings, bool json)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    if (json)
        settings_print_json(settings, &out);
    else
        settings_print(settings, &out);
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
