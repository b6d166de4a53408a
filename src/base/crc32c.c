/* RFC 3720, section 12.1; the polynomial with its bits reversed. By the instruction where the CPU has one: CRC32 of SSE4.2 ("Intel
 * 64 and IA-32 Architectures Software Developer's Manual", volume 2), CRC32CX of ARMv8 ("Arm Architecture Reference Manual", C6.2); both
 * take eight bytes, which are in the order of memory on either. Else by a table: it is made when it is needed first, and takes no room in
 * the program. A byte takes eleven instructions; two steps of half a byte each, with a table of 16, would take fifteen. */
#include "crc32c.h"

#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#elif defined __aarch64__
#include <sys/auxv.h>
#endif

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

uint32_t crc32c_add_by_table(uint32_t before, const void *data, size_t len)
{
    const unsigned char *at = data;
    uint32_t sum = ~before;

    if (table[1] == 0)
        make_table();
    for (; len > 0; len--)
        sum = sum >> 8 ^ table[(sum ^ *at++) & 255];
    return ~sum;
}

static bool has_instruction(void)
{
#ifdef __x86_64__
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
#elif defined __aarch64__
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
    return false;
#endif
}

/* Eight bytes more. Only where has_instruction. */
static uint32_t add_word(uint32_t sum, uint64_t word)
{
#ifdef __x86_64__
    uint64_t wide = sum;

    __asm__("crc32q %1, %0" : "+r"(wide) : "rm"(word));
    return (uint32_t)wide;
#elif defined __aarch64__
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(sum) : "r"(word));
    return sum;
#else
    (void)word;
    return sum;
#endif
}

uint32_t crc32c_add(uint32_t before, const void *data, size_t len)
{
    static enum { UNKNOWN, TABLE, INSTRUCTION } how;
    const unsigned char *at = data;
    uint32_t sum = ~before;

    if (how == UNKNOWN)
        how = has_instruction() ? INSTRUCTION : TABLE;
    for (; how == INSTRUCTION && len >= sizeof(uint64_t); len -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, at, sizeof word);
        sum = add_word(sum, word);
    }
    return crc32c_add_by_table(~sum, at, len);
}
