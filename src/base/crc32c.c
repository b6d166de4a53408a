/* RFC 3720, section 12.1; the polynomial with its bits reversed. The table is made when it is needed first, and takes no room in
 * the program. A byte takes eleven instructions; two steps of half a byte each, with a table of 16, would take fifteen. */
#include "crc32c.h"

#define POLYNOMIAL UINT32_C(0x82F63B78)

/* What each byte leaves behind. */
static uint32_t table[256];

static void make_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t left = byte;

        for (int bit = 0; bit < 8; bit++)
            left = left >> 1 ^ (left & 1) * POLYNOMIAL;
        table[byte] = left;
    }
}

uint32_t crc32c_add(uint32_t before, const void *data, size_t len)
{
    const unsigned char *at = data;
    uint32_t sum = ~before;

    if (table[1] == 0)
        make_table();
    for (; len > 0; len--)
        sum = sum >> 8 ^ table[(sum ^ *at++) & 255];
    return ~sum;
}
