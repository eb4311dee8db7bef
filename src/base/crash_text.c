/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sentences of a crash report. Async-signal-safe, like everything behind crash.c.
 */
#include "base/crash_text.h"

#include "base/check.h"
#include "base/crash.h"

#include <elf.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LAST_EVENTS = 32, FIGURES_MAX = 4 };

/* set before threads start */
static char build_id[CRASH_BUILD_ID_MAX + 1] = "none";
static struct {
    const char *name;
    const _Atomic uint32_t *value;
} figures[FIGURES_MAX];
static uint32_t figure_count;

/* --- the build ---------------------------------------------------------------------------------- */

/* Looks for the note in the first object, the program itself. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_NOTE) {
            continue;
        }
        const char *at = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        const char *end = at + info->dlpi_phdr[i].p_memsz;
        while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) note;
            memcpy(&note, at, sizeof(note));
            size_t name_len = (note.n_namesz + 3U) & ~3U;
            const unsigned char *id = (const unsigned char *)at + sizeof(note) + name_len;
            if (note.n_type == NT_GNU_BUILD_ID && 2 * (size_t)note.n_descsz <= CRASH_BUILD_ID_MAX) {
                for (size_t k = 0; k < note.n_descsz; k++) {
                    build_id[2 * k] = hex[id[k] >> 4];
                    build_id[2 * k + 1] = hex[id[k] & 15];
                }
                build_id[2 * (size_t)note.n_descsz] = '\0';
                return 1;
            }
            at += sizeof(note) + name_len + ((note.n_descsz + 3U) & ~3U);
        }
    }
    return 1; /* the libraries' ids do not matter */
}

void crash_find_build_id(void)
{
    (void)dl_iterate_phdr(find_build_id, NULL);
}

void crash_figure(const char *name, const _Atomic uint32_t *value)
{
    uint32_t at = 0;
    while (at < figure_count && strcmp(figures[at].name, name) != 0) {
        at++;
    }
    check(at < FIGURES_MAX);
    figures[at].name = name;
    figures[at].value = value;
    figure_count = at == figure_count ? at + 1 : figure_count;
}

/* --- the report --------------------------------------------------------------------------------- */

static const char *signal_name(int sig)
{
    switch (sig) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGILL:
        return "SIGILL";
    case SIGFPE:
        return "SIGFPE";
    case SIGABRT:
        return "SIGABRT";
    default:
        return "a signal";
    }
}

void crash_put_version(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    crash_put("version: freshet " FRESHET_VERSION ", build id ");
    crash_put(build_id);
    crash_put("\nprocess: ");
    crash_put_number((uint64_t)getpid());
    crash_put(", at ");
    crash_put_number((uint64_t)ts.tv_sec);
    crash_put(" s of Unix time\n");
}

void *crash_place_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (void *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)(uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

void crash_put_signal(int sig, const siginfo_t *info, const ucontext_t *context)
{
    crash_put("signal: ");
    crash_put_number((uint64_t)sig);
    crash_put(" ");
    crash_put(signal_name(sig));
    if (sig != SIGABRT) {
        crash_put(info->si_code > 0 ? ", address " : ", sent by process ");
        if (info->si_code > 0) {
            crash_put_hex((uint64_t)(uintptr_t)info->si_addr);
        } else {
            crash_put_number((uint64_t)info->si_pid);
        }
        crash_put(", instruction ");
        crash_put_hex((uint64_t)(uintptr_t)crash_place_of(context));
    }
    crash_put("\n");
}

void crash_put_work(const char *doing, const char *step, const char *about)
{
    crash_put("in hand: ");
    crash_put(doing != NULL ? doing : "nothing");
    if (about[0] != '\0') {
        crash_put(" ");
        crash_put_printable(about);
    }
    if (step != NULL) {
        crash_put(", step ");
        crash_put(step);
    }
    crash_put("\n");
}

static void put_number(const char *label, uint64_t value)
{
    const char *word = trace_word_label(label);
    char text[9];
    if (label[0] == '\0') {
        return;
    }
    crash_put(" ");
    crash_put(word != NULL ? word : label);
    crash_put("=");
    if (word != NULL) {
        trace_word_text(value, text);
        crash_put(text);
    } else {
        crash_put_number(value);
    }
}

static void put_event(const struct trace_record *r, uint64_t now_us)
{
    const struct trace_kind *k = &trace_kinds[r->event];
    crash_put("  -");
    crash_put_number(now_us > r->at_us ? (now_us - r->at_us) / 1000 : 0);
    crash_put(" ms ");
    crash_put(k->name);
    put_number(k->a, r->a);
    put_number(k->b, r->b);
    if (r->text[0] != '\0') {
        crash_put(" ");
        crash_put_printable(r->text);
    }
    crash_put("\n");
}

void crash_put_events(const struct thread *t)
{
    uint64_t now_us = atomic_load_explicit(&t->ring.now_us, memory_order_relaxed);
    uint64_t next = trace_next(&t->ring);
    uint64_t first = next > LAST_EVENTS ? next - LAST_EVENTS : 0;
    crash_put("last events, newest last, before this turn of its loop:\n");
    for (uint64_t n = first; n < next; n++) {
        struct trace_record r;
        if (trace_get(&t->ring, n, &r)) {
            put_event(&r, now_us);
        }
    }
}

void crash_put_thread_name(const struct thread *t)
{
    crash_put("thread: ");
    crash_put(t->name);
    crash_put(", tid ");
    crash_put_number((uint64_t)atomic_load_explicit(&t->tid, memory_order_relaxed));
    if (atomic_load_explicit(&t->is_resting, memory_order_relaxed)) {
        crash_put(", waits for events");
    }
    crash_put("\n");
}

void crash_put_frames(void *const *frames, int count)
{
    crash_put("backtrace:\n");
    for (int i = 0; i < count; i++) {
        /* Behind the first stand return addresses: the call is the byte before, and behind a call that
         * never returns another function may begin. */
        crash_put_frame((char *)frames[i] - (i > 0 ? 1 : 0));
    }
}

void crash_put_figures(void)
{
    for (uint32_t i = 0; i < figure_count; i++) {
        if (figures[i].value == NULL) {
            continue;
        }
        crash_put(figures[i].name);
        crash_put(": ");
        crash_put_number(atomic_load_explicit(figures[i].value, memory_order_relaxed));
        crash_put("\n");
    }
    crash_put_memory();
}
