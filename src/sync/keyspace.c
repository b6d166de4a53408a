#include "keyspace.h"

#include "utf8.h"

#include <string.h>

/* So many characters beyond the level are looked at. */
#define DIGITS 12
#define DECIMAL 10
#define NUMBER_MAX (UINT64_C(1) << 60)

/* What may stand at one place: `count` characters from `low` on, the last ones of them not behind the others, but from `more` on (0:
 * there are none). */
struct place {
    uint32_t low, more;
    uint32_t count;
};

/* A key from the level on, in digits: 0 where it is at its end, from 1 on the characters of the place. What comes behind all of
 * these counts as their last. */
struct number {
    uint32_t digits[DIGITS];
};

/* ---- characters ---- */

void keyspace_learn(struct keyspace *space, const char *key, size_t from)
{
    size_t left = strlen(key) - from, len;
    uint32_t code;

    for (const char *at = key + from; (len = utf8_decode(at, left, &code)) > 0 && code != '.';
         at += len, left -= len) {
        space->has_hex |= (code >= 'a' && code <= 'f') || (code >= 'A' && code <= 'F');
        space->has_lower |= code > 'f' && code <= 'z';
        space->has_upper |= code > 'F' && code <= 'Z';
        if (code < 0x80)
            continue;
        if (space->low == 0 || code < space->low)
            space->low = code;
        if (code > space->high)
            space->high = code;
    }
}

/* Where that character stands, 0 for none. */
static struct place place_of(const struct keyspace *space, uint32_t code)
{
    bool digit = code >= '0' && code <= '9';
    bool lower = code >= 'a' && code <= 'z', upper = code >= 'A' && code <= 'Z';
    bool hex = digit || (code >= 'a' && code <= 'f') || (code >= 'A' && code <= 'F');

    if (code >= 0x80 && space->low != 0)
        return (struct place){space->low, 0, space->high - space->low + 1};
    if (hex && space->has_hex && !space->has_lower && !space->has_upper)
        return (struct place){'0', upper ? 'A' : 'a', DECIMAL + 6};
    if (digit)
        return (struct place){'0', 0, DECIMAL};
    if (lower || upper)
        return (struct place){lower ? 'a' : 'A', 0, 26};
    return (struct place){'-', 0, 'z' - '-' + 1};
}

/* 1 + how many of them come before the character; more than `count` where all do. */
static uint32_t digit_of(const struct place *place, uint32_t code)
{
    uint32_t digit = code < place->low ? 1 : code - place->low + 1;

    if (place->more != 0 && code >= '0' + DECIMAL)
        digit = code < place->more ? DECIMAL + 1 : code - place->more + DECIMAL + 1;
    return digit;
}

/* Not all code points are characters that XML has. */
static uint32_t character_of(const struct place *place, uint32_t digit)
{
    uint32_t code =
        place->more != 0 && digit > DECIMAL ? place->more + digit - DECIMAL - 1 : place->low + digit - 1;

    if (code >= 0xD800 && code <= 0xDFFF)
        return 0xD7FF;
    return (code & 0xFFFE) == 0xFFFE ? code - 2 : code;
}

/* ---- numbers ---- */

static void take_places(const struct keyspace *space, const char *text, struct place places[DIGITS])
{
    size_t left = strlen(text), len;

    for (int i = 0; i < DIGITS; i++, text += len, left -= len) {
        uint32_t code = 0;

        len = utf8_decode(text, left, &code);
        places[i] = place_of(space, code);
    }
}

/* The largest from the place `from` on. */
static void fill_up(const struct place places[DIGITS], struct number *number, int from)
{
    for (int i = from; i < DIGITS; i++)
        number->digits[i] = places[i].count;
}

static struct number key_number(const struct place places[DIGITS], const char *text)
{
    struct number number = {{0}};
    size_t left = strlen(text), len;
    uint32_t code;

    for (int i = 0; i < DIGITS && (len = utf8_decode(text, left, &code)) > 0; i++, text += len, left -= len) {
        number.digits[i] = digit_of(&places[i], code);
        if (number.digits[i] > places[i].count) {
            fill_up(places, &number, i);
            break;
        }
    }
    return number;
}

/* The end of the stretch, which is that of the level where it has none of its own. */
static struct number end_number(const struct place places[DIGITS], const struct keyspace_stretch *stretch)
{
    struct number number;

    if (stretch->end[0] != '\0' && strncmp(stretch->end, stretch->reach, stretch->level) == 0)
        return key_number(places, stretch->end + stretch->level);
    fill_up(places, &number, 0);
    return number;
}

/* Of the first digits, of all numbers the same ones. */
static uint64_t value_of(const struct place places[DIGITS], struct number number)
{
    uint64_t value = 0, most = 1;

    for (int i = 0; i < DIGITS && most < NUMBER_MAX / (places[i].count + 1); i++) {
        most *= places[i].count + 1;
        value = value * (places[i].count + 1) + number.digits[i];
    }
    return value;
}

uint64_t keyspace_left(const struct keyspace *space, const struct keyspace_stretch *stretch, uint64_t pages)
{
    struct place places[DIGITS];
    uint64_t first, reach, end, page;

    take_places(space, stretch->reach + stretch->level, places);
    first = value_of(places, key_number(places, stretch->first + stretch->level));
    reach = value_of(places, key_number(places, stretch->reach + stretch->level));
    end = value_of(places, end_number(places, stretch));
    if (end <= reach)
        return 0;
    page = reach > first && pages > 0 ? (reach - first) / pages : 0;
    return page == 0 || (end - reach) / page > UINT32_MAX ? UINT32_MAX : (end - reach) / page;
}

/* Half of both together. */
static void halve(const struct place places[DIGITS], struct number *number, struct number other)
{
    uint32_t rest = 0;

    for (int i = DIGITS - 1; i >= 0; i--) {
        uint32_t sum = number->digits[i] + other.digits[i] + rest;

        rest = sum >= places[i].count + 1;
        number->digits[i] = sum - rest * (places[i].count + 1);
    }
    for (int i = 0; i < DIGITS; i++) {
        uint32_t sum = rest * (places[i].count + 1) + number->digits[i];

        number->digits[i] = sum / 2;
        rest = sum % 2;
    }
}

static bool is_writable(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return false;
    return utf8_is_text(text);
}

/* No more digits than it takes, and one. What stands behind them makes it no key that there is, or hardly ever: a service that
 * shows it first has not begun behind it. */
bool keyspace_middle(const struct keyspace *space, const struct keyspace_stretch *stretch,
                     char middle[OBJECT_KEY_MAX + 1])
{
    size_t len = stretch->level;
    struct place places[DIGITS] = {{.count = 0}};
    struct number number;
    bool is_behind = false;

    take_places(space, stretch->reach + len, places);
    number = key_number(places, stretch->reach + len);
    halve(places, &number, end_number(places, stretch));
    memcpy(middle, stretch->reach, len);
    middle[len] = '\0';
    for (int i = 0; i < DIGITS && number.digits[i] != 0 && !is_behind && len + 4 <= OBJECT_KEY_MAX; i++) {
        is_behind = strcmp(middle, stretch->reach) > 0;
        len += utf8_encode(character_of(&places[i], number.digits[i]), middle + len);
        middle[len] = '\0';
    }
    if (len < OBJECT_KEY_MAX)
        memcpy(middle + len, "!", 2);
    return strcmp(middle, stretch->reach) > 0 &&
           (stretch->end[0] == '\0' || strcmp(middle, stretch->end) < 0) && is_writable(middle);
}
