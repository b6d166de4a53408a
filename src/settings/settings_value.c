/*
 * The grammar of values: see settings.h.
 */
#include "settings_internal.h"

#include "address.h"
#include "cron.h"
#include "text.h"
#include "uri.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t scale;
};

/* Ascending. The first one's scale is what a value is kept in, and the last one of a scale is how it is written. The AWS
 * command line tools take "8MB" for 8 MiB as well ("AWS CLI S3 Configuration"). */
static const struct unit durations[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1},         {"K", 1 << 10},   {"KB", 1 << 10},  {"KiB", 1 << 10},
                                    {"M", 1 << 20},  {"MB", 1 << 20},  {"MiB", 1 << 20}, {"G", 1 << 30},
                                    {"GB", 1 << 30}, {"GiB", 1 << 30}, {NULL, 0}};
static const struct unit shares[] = {{"", 1}, {"%", 1}, {NULL, 0}};
static const struct unit counts[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(const struct setting *setting)
{
    if (setting->type == SETTING_DURATION)
        return durations;
    if (setting->type == SETTING_SHARE)
        return shares;
    return setting->type == SETTING_SIZE ? sizes : counts;
}

static bool is_text(const struct setting *setting)
{
    return setting->type == SETTING_TEXT || setting->type == SETTING_URL || setting->type == SETTING_SECRET ||
           setting->type == SETTING_ENVIRONMENT || setting->type == SETTING_SEGMENT ||
           setting->type == SETTING_SHARD || setting->type == SETTING_SCHEDULE ||
           setting->type == SETTING_ADDRESSES || setting->type == SETTING_ADDRESS;
}

/* ---- reading ---- */

/* The position of `text` among the words of `choices`, which are separated by '|'. */
static bool parse_choice(const char *choices, const char *text, int64_t *out)
{
    size_t wanted = strlen(text);
    const char *word = choices;

    for (int64_t position = 0;; position++) {
        size_t len = strcspn(word, "|");

        if (len == wanted && strncasecmp(word, text, len) == 0) {
            *out = position;
            return true;
        }
        if (word[len] == '\0')
            return false;
        word += len + 1;
    }
}

static bool parse_flag(const char *text, int64_t *out)
{
    if (!parse_choice("false|true|no|yes|off|on|n|y|f|t|0|1", text, out))
        return false;
    *out %= 2;
    return true;
}

/* "path_style = true" is how many other programs spell it. */
static bool parse_choice_or_flag(const struct setting *setting, const char *text, int64_t *out)
{
    int64_t yes;

    if (parse_choice(setting->choices, text, out) ||
        (setting->also != NULL && parse_choice(setting->also, text, out)))
        return true;
    return parse_flag(text, &yes) && parse_choice(setting->choices, yes ? "yes" : "no", out);
}

/* The digits at *text. False if there are none, or too many. */
static bool parse_digits(const char **text, int64_t *out)
{
    const char *c = *text;

    for (*out = 0; text_is_digit(*c); c++) {
        int digit = *c - '0';

        if (*out > (INT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    if (c == *text)
        return false;
    *text = c + strspn(c, " \t");
    return true;
}

/* The unit whose name is `name`, of `len` bytes. NULL if there is none. M is as good as m in a size, but in a duration it
 * may have been meant for a month. */
static const struct unit *find_unit(const struct setting *setting, const char *name, size_t len)
{
    int (*compare)(const char *, const char *, size_t) =
        setting->type == SETTING_SIZE ? strncasecmp : strncmp;

    if (len == 0 && setting->type == SETTING_DURATION)
        return find_unit(setting, "s", 1);
    for (const struct unit *unit = units_of(setting); unit->name != NULL; unit++)
        if (strlen(unit->name) == len && compare(unit->name, name, len) == 0)
            return unit;
    return NULL;
}

/* A bare duration is in seconds, the other bare numbers are as they are. Several parts ("1h30m") go from large to small,
 * each with its unit. */
static bool parse_scaled(const struct setting *setting, const char *text, int64_t *out)
{
    int64_t above = INT64_MAX, sum = 0, value;

    for (;;) {
        size_t len;
        const struct unit *unit;

        if (!parse_digits(&text, &value))
            return false;
        len = strcspn(text, "0123456789 \t");
        unit = find_unit(setting, text, len);
        if (unit == NULL || unit->scale >= above || value > (INT64_MAX - sum) / unit->scale ||
            (len == 0 && above != INT64_MAX))
            return false;
        sum += value * unit->scale;
        above = unit->scale;
        text += len;
        text += strspn(text, " \t");
        if (*text == '\0')
            break;
    }
    if (sum < setting->min || sum > setting->max)
        return false;
    *out = sum;
    return true;
}

/* "500" or "10%". */
static bool parse_limit(const struct setting *setting, const char *text, int64_t *out)
{
    int64_t value;

    if (!parse_digits(&text, &value))
        return false;
    if (strcmp(text, "%") == 0 && value <= 100) {
        *out = -value;
        return true;
    }
    if (*text != '\0' || value > setting->max)
        return false;
    *out = value;
    return true;
}

static bool parse_number(const struct setting *setting, const char *text, int64_t *out)
{
    if (setting->type == SETTING_CHOICE)
        return parse_choice_or_flag(setting, text, out);
    if (setting->type == SETTING_FLAG)
        return parse_flag(text, out);
    if (setting->type == SETTING_NUMBER && setting->also != NULL && parse_choice(setting->also, text, out))
        return true;
    if (setting->type == SETTING_LIMIT)
        return parse_limit(setting, text, out);
    if (parse_scaled(setting, text, out))
        return true;
    if (setting->type != SETTING_SHARE || text_is_digit(*text) || !parse_flag(text, out))
        return false;
    *out *= setting->max;
    return true;
}

/* A job's name stands in .storsync/ beside what 0.1 and directory buckets keep there. */
static bool is_segment(const char *text)
{
    static const char *const taken[] = {"deployments", "last-sync.json", "lease", "meta", "odd", "tmp"};
    static const char usable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t len = strlen(text);

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(text, taken[i]) == 0)
            return false;
    return len <= SETTINGS_SEGMENT_MAX && strspn(text, usable) == len && strchr("-_.", *text) == NULL;
}

static bool is_schedule(const char *text)
{
    struct error ignored;
    struct cron cron;

    return cron_parse(text, &cron, &ignored);
}

/* One address, as it stands in a command of SMTP and in a header: user@host, of nothing that means something there (RFC 5321,
 * 4.1.2: no quoted strings, no literals). */
static bool is_address(struct text_piece address)
{
    static const char usable[] = ".-_+=!#$%&'*/?^`{|}~";
    const char *at = memchr(address.at, '@', address.len);
    size_t user = at != NULL ? (size_t)(at - address.at) : 0;

    if (user == 0 || user > 64 || address.len > SETTINGS_MAIL_ADDRESS_MAX || user + 1 == address.len)
        return false;
    for (size_t i = 0; i < address.len; i++)
        if (i != user && !text_is_letter(address.at[i]) && !text_is_digit(address.at[i]) &&
            !text_is_one_of(address.at[i], i < user ? usable : ".-"))
            return false;
    return true;
}

static bool are_addresses(const char *text, int64_t most)
{
    for (; most > 0; most--) {
        size_t len = strcspn(text, ",");

        if (!is_address(text_trim(text, len, TEXT_SPACE)))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
    return false;
}

/* Control characters have no place in a name, and would let a value break out of a header or a log line. */
static bool parse_text(const struct setting *setting, const char *text, const char **out)
{
    struct address address;
    struct shard shard;
    int64_t which = 0;

    if (setting->type == SETTING_ENVIRONMENT && *text != '\0') {
        if (!parse_choice(setting->choices, text, &which) && !parse_choice(setting->also, text, &which))
            return false;
        *out = which == 0 ? "production" : "development";
        return true;
    }
    if (setting->type == SETTING_SEGMENT && *text != '\0' && !is_segment(text))
        return false;
    if (setting->type == SETTING_SHARD && *text != '\0' && !shard_parse(text, &shard))
        return false;
    if (setting->type == SETTING_SCHEDULE && *text != '\0' && !is_schedule(text))
        return false;
    if (setting->type == SETTING_ADDRESSES && *text != '\0' && !are_addresses(text, setting->max))
        return false;
    if (setting->type == SETTING_ADDRESS && !address_parse(text, &address))
        return false;
    if (strlen(text) > SETTINGS_TEXT_MAX)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    *out = text;
    return true;
}

bool settings_parse(struct settings *settings, const struct slot *slot, const char *text)
{
    void *field = (char *)settings + slot->offset;

    if (is_text(slot->setting))
        return parse_text(slot->setting, text, field);
    return parse_number(slot->setting, text, field);
}

bool settings_stand_in(struct settings *settings, const struct slot *slot)
{
    const char *careful = slot->setting->careful;

    settings_parse(settings, slot, careful != NULL ? careful : slot->fallback);
    return careful != NULL;
}

/* ---- writing ---- */

static void format_scaled(const struct unit *unit, int64_t value, struct buf *out)
{
    while (value != 0 && unit[1].name != NULL && value % unit[1].scale == 0)
        unit++;
    buf_printf(out, "%" PRId64 "%s", value / unit->scale, value != 0 ? unit->name : "");
}

static void format_choice(const char *choices, int64_t position, struct buf *out)
{
    while (position-- > 0)
        choices += strcspn(choices, "|") + 1;
    buf_append(out, choices, strcspn(choices, "|"));
}

void settings_format(const struct settings *settings, const struct slot *slot, struct buf *out)
{
    const struct setting *setting = slot->setting;
    const void *field = (const char *)settings + slot->offset;

    if (is_text(setting)) {
        const char *text = *(const char *const *)field;

        if (setting->type == SETTING_URL)
            uri_mask(out, text);
        else
            buf_puts(out, setting->type == SETTING_SECRET && *text != '\0' ? "****" : text);
        return;
    }
    int64_t number = *(const int64_t *)field;

    if (setting->type == SETTING_CHOICE)
        format_choice(setting->choices, number, out);
    else if (setting->type == SETTING_FLAG)
        buf_puts(out, number ? "true" : "false");
    else if (setting->type == SETTING_NUMBER && setting->also != NULL && number == 0)
        buf_puts(out, setting->also);
    else if (number < 0)
        buf_printf(out, "%" PRId64 "%%", -number);
    else
        format_scaled(units_of(setting), number, out);
}

static void format_choices(const char *choices, struct buf *out)
{
    for (;;) {
        size_t len = strcspn(choices, "|");

        buf_append(out, choices, len);
        if (choices[len] == '\0')
            return;
        choices += len + 1;
        buf_puts(out, strchr(choices, '|') != NULL ? ", " : " or ");
    }
}

void settings_range(const struct setting *setting, struct buf *out)
{
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_SEGMENT:
    case SETTING_SHARD:
    case SETTING_SCHEDULE:
    case SETTING_ADDRESSES:
    case SETTING_ADDRESS:
    case SETTING_URL:
    case SETTING_SECRET:
    case SETTING_FLAG:
        break;
    case SETTING_ENVIRONMENT:
    case SETTING_CHOICE:
        format_choices(setting->choices, out);
        break;
    case SETTING_LIMIT:
        buf_puts(out, "0% to 100%, or 0 to ");
        format_scaled(counts, setting->max, out);
        break;
    case SETTING_NUMBER:
    case SETTING_DURATION:
    case SETTING_SIZE:
    case SETTING_SHARE:
        format_scaled(units_of(setting), setting->min, out);
        buf_puts(out, " to ");
        format_scaled(units_of(setting), setting->max, out);
        if (setting->type == SETTING_NUMBER && setting->also != NULL)
            buf_printf(out, ", or %s", setting->also);
        break;
    }
}

void settings_expected(const struct setting *setting, struct buf *out)
{
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_URL:
    case SETTING_SECRET:
        buf_printf(out, "text without control characters, at most %d bytes", SETTINGS_TEXT_MAX);
        break;
    case SETTING_SEGMENT:
        buf_printf(
            out,
            "a name of at most %d letters, digits, '-', '_' and '.' that begins with one of the first two and that .storsync/ does not use otherwise",
            SETTINGS_SEGMENT_MAX);
        break;
    case SETTING_SHARD:
        buf_printf(out, "I/N or /N, with N up to %d and I from 0 to N-1", SHARD_COUNT_MAX);
        break;
    case SETTING_SCHEDULE:
        buf_puts(out, "a schedule like 0 3 * * * or @daily");
        break;
    case SETTING_ADDRESSES:
        buf_puts(out, "an address like ops@example.com in ASCII, without a name");
        if (setting->max > 1)
            buf_printf(out, ", or up to %d with commas between them", (int)setting->max);
        break;
    case SETTING_ADDRESS:
        buf_puts(out, "an IP address or localhost with a port, :PORT, unix:/PATH, or off");
        break;
    case SETTING_ENVIRONMENT:
    case SETTING_CHOICE:
        break;
    case SETTING_FLAG:
        buf_puts(out, "true or false");
        break;
    case SETTING_NUMBER:
        buf_puts(out, "a whole number from ");
        break;
    case SETTING_DURATION:
        buf_puts(out, "a duration like 90s or 1h30m, from ");
        break;
    case SETTING_SIZE:
        buf_puts(out, "a size like 64MiB or 1GiB, from ");
        break;
    case SETTING_LIMIT:
        buf_puts(out, "a whole number or a share like 10%, from ");
        break;
    case SETTING_SHARE:
        buf_puts(out, "a share like 10%, or true or false, from ");
        break;
    }
    settings_range(setting, out);
}
