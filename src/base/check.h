/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Assertions that stay on in release builds.
 *
 * check() is for our own bugs, never for input: bad input gets an `enum err`. A failed check prints
 * file, line and expression and aborts. debug_check() is for expensive walks (structure validators)
 * and exists only in builds with -DFRESHET_DEBUG.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

_Noreturn void check_failed(const char *file, int line, const char *what);

#define check(x)                                                                                   \
    do {                                                                                           \
        if (__builtin_expect(!(x), 0)) {                                                           \
            check_failed(__FILE__, __LINE__, #x);                                                  \
        }                                                                                          \
    } while (0)

#define unreachable() check_failed(__FILE__, __LINE__, "unreachable")

#ifdef FRESHET_DEBUG
#define debug_check(x) check(x)
#else
#define debug_check(x) ((void)0)
#endif

/* Structs that travel through `void *` begin with `uint32_t magic`. */
#define check_obj(ptr, want) check((ptr) != NULL && (ptr)->magic == (want))

#define must_check             __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define array_len(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
