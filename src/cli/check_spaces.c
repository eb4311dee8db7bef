/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet check: what each space promises, in words, so that a reader sees what was meant and what was
 * written; and whether the disk has room for the log.
 *
 * That budgets fit and that the log's directory can be used was seen when the policy was loaded. Found here
 * is what works today and will not later.
 *
 * Threads: one owner.
 */
#include "cli/check_spaces.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { SUBJECT_MAX = 128, PLACE_MAX = 64, TTL_MAX = 64 };

static double megabytes(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

static void name_place(const struct policy *p, uint32_t space, char *ret_text)
{
    uint32_t dbs = 0;
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        dbs += p->db_space[db] == (int)space;
    }
    if ((int)space == p->http_space) {
        (void)snprintf(ret_text, PLACE_MAX, "answers of routes");
    } else if (dbs > 1) {
        (void)snprintf(ret_text, PLACE_MAX, "all %u databases", dbs);
    } else {
        (void)snprintf(ret_text, PLACE_MAX, "database %d", p->spaces[space].db);
    }
}

static void explain_space(struct report *r, const struct policy *p, uint32_t index)
{
    static const char *const consistency[] = {[POLICY_TTL] = "does not follow the database",
                                              [POLICY_FOLLOW] = "follows the database",
                                              [POLICY_STRICT] = "follows the database, strictly"};
    const struct policy_space *s = &p->spaces[index];
    char subject[SUBJECT_MAX];
    char place[PLACE_MAX];
    char ttl[TTL_MAX] = "";
    (void)snprintf(subject, sizeof(subject), "spaces.%s", s->name);
    name_place(p, index, place);
    if (s->ttl_ms > 0) {
        (void)snprintf(ttl, sizeof(ttl), "; keys set without an expiry live %g s",
                       (double)s->ttl_ms / 1000.0);
    }
    bool is_told = p->database.dsn != NULL && (int)index != p->http_space;
    report_line(r, REPORT_OK, subject, "%s, %g MB; %s; %s%s%s%s", place, megabytes(s->memory),
                s->evict ? "evicts its own entries when it is full"
                         : "never evicts: when it is full its writers get -OOM",
                s->durable ? "durable: survives kill -9" : "volatile: empty after a restart", ttl,
                is_told ? "; " : "", is_told ? consistency[s->consistency] : "");
}

/* Bytes free for this user on the disk of `dir`, which need not exist yet; UINT64_MAX: unknown. */
static uint64_t free_bytes(const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) == 0) {
        return (uint64_t)st.f_bavail * st.f_frsize;
    }
    char parent[4096];
    (void)snprintf(parent, sizeof(parent), "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent) {
        return UINT64_MAX;
    }
    *slash = '\0';
    return statvfs(parent, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : UINT64_MAX;
}

/* The log may grow by `rewrite_growth` percent beyond its data; until the new one is whole both lie there. */
static void check_log(struct report *r, const struct policy *p)
{
    const struct policy_durable *d = &p->durable;
    uint64_t data = 0;
    for (uint32_t i = 0; i < p->space_count; i++) {
        data += p->spaces[i].durable ? p->spaces[i].memory : 0;
    }
    if (d->dir == NULL || data == 0) {
        return;
    }
    report_line(r, REPORT_OK, "durable.dir", "%s; a reply leaves when %s", d->dir,
                d->always ? "the disk has the change"
                          : "the system has the change, and the disk has it within a second or so");
    uint64_t wanted = data * 2 + data / 100 * d->rewrite_growth;
    uint64_t room = free_bytes(d->dir);
    if (room < wanted) {
        report_line(
            r, REPORT_WARNING, "durable.dir",
            "its disk has %.0f MB free; full durable spaces want about %.0f MB for the log and "
            "its rewriting. Free some, or writers may get MISCONF",
            megabytes(room), megabytes(wanted));
    }
}

void check_spaces(struct report *r, const struct policy *p)
{
    report_section(r, "spaces");
    for (uint32_t i = 0; i < p->space_count; i++) {
        explain_space(r, p, i);
    }
    report_line(r, REPORT_OK, "memory",
                "%g MB in all spaces together; none takes from another. Client buffers are apart: "
                "limits.buffers, %g MB",
                megabytes(p->memory), megabytes(p->limits.buffers_max));
    check_log(r, p);
}
