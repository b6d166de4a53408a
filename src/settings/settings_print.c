#include "json.h"
#include "settings_internal.h"

#include <string.h>

#define VALUE_MAX ((size_t)SETTINGS_TEXT_MAX + 16)

/* The rules in the order in which they count. */
static void put_rules(const struct settings *settings, struct buf *out)
{
    struct filter *filter = settings_filter(settings);
    const struct filter_rule *rule;

    for (size_t i = 0; (rule = filter_rule(filter, i)) != NULL; i++)
        buf_printf(out, "; %s: %-30s ; %s\n", rule->include ? "include" : "exclude", rule->pattern,
                   rule->origin);
    if (filter_is_only_included(filter))
        buf_puts(out, "; what none of these matches is left out\n");
}

bool settings_print(const struct settings *settings, const struct settings_remark *remarks, int count,
                    struct buf *out)
{
    const char *section = "";
    struct buf value;

    buf_init(&value, VALUE_MAX);
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) != 0)
            buf_printf(out, "\n[%s]\n", slot.section);
        section = slot.section;
        buf_clear(&value);
        settings_format(settings, &slot, &value);
        buf_printf(out, "%-26s = %-30s ; %s\n", slot.setting->name, buf_str(&value),
                   settings_origin(settings, (const char *)settings + slot.offset));
    }
    buf_puts(out, "\n; paths:");
    for (int i = 0; i < settings_path_count(settings); i++)
        buf_printf(out, "%s %s", i > 0 ? "," : "",
                   *settings_path(settings, i) != '\0' ? settings_path(settings, i) : "the whole bucket");
    buf_putc(out, '\n');
    put_rules(settings, out);
    for (int i = 0; i < count; i++)
        if (remarks[i].destination == NULL)
            buf_printf(out, "; %s: %s\n", remarks[i].name, remarks[i].source);
        else
            buf_printf(out, "; %s of the source: %s\n; %s of the destination: %s\n", remarks[i].name,
                       remarks[i].source, remarks[i].name, remarks[i].destination);
    out->failed |= value.failed;
    buf_free(&value);
    return !out->failed;
}

/* Adds the array of what `line` returns until it returns NULL. */
static bool json_add_lines(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                           const char *(*line)(const struct settings *, int), const struct settings *settings)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, object, name);
    bool good = array != NULL;

    for (int i = 0; good && line(settings, i) != NULL; i++)
        good = yyjson_mut_arr_append(array, json_make_text(doc, line(settings, i)));
    return good;
}

static bool json_add_slot(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct settings *settings,
                          const struct slot *slot, struct buf *value)
{
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(doc, object, slot->setting->name);

    buf_clear(value);
    settings_format(settings, slot, value);
    return entry != NULL && json_add_text(doc, entry, "value", buf_str(value)) &&
           json_add_text(doc, entry, "origin",
                         settings_origin(settings, (const char *)settings + slot->offset)) &&
           !value->failed;
}

static bool json_add_remark(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct settings_remark *remark)
{
    yyjson_mut_val *entry;

    if (remark->destination == NULL)
        return json_add_text(doc, object, remark->name, remark->source);
    entry = yyjson_mut_obj_add_obj(doc, object, remark->name);
    return entry != NULL && json_add_text(doc, entry, "source", remark->source) &&
           json_add_text(doc, entry, "destination", remark->destination);
}

bool settings_print_json(const struct settings *settings, const struct settings_remark *remarks, int count,
                         struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *object = root;
    const char *section = "";
    struct buf value;
    bool good = root != NULL;

    buf_init(&value, VALUE_MAX);
    yyjson_mut_doc_set_root(doc, root);
    for (int i = 0; good && i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) != 0)
            object = yyjson_mut_obj_add_obj(doc, root, slot.section);
        section = slot.section;
        good = json_add_slot(doc, object, settings, &slot, &value);
    }
    good = good && json_add_lines(doc, root, "paths", settings_path, settings);
    for (int i = 0; good && i < count; i++)
        good = json_add_remark(doc, root, &remarks[i]);
    good = good && json_add_lines(doc, root, "problems", settings_problem, settings) &&
           json_add_lines(doc, root, "notes", settings_note, settings) &&
           json_add_lines(doc, root, "assumptions", settings_assumption, settings) &&
           json_write(doc, true, out);
    yyjson_mut_doc_free(doc);
    buf_free(&value);
    return good;
}
