/* SPDX-License-Identifier: BSD-3-Clause */
/* stats: every counter and gauge as lines "name value", for people and scripts. */
#include "base/clock.h"
#include "serve/serve.h"

#include <inttypes.h>

static void put(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_spaces(struct server *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->policy->space_count; i++) {
        struct store_space_stats st;
        const char *name = s->policy->spaces[i].name;
        store_space_stats(s->store, i, &st);
        buf_printf(out, "space.%s.budget_bytes %" PRIu64 "\n", name, st.budget_bytes);
        buf_printf(out, "space.%s.used_bytes %" PRIu64 "\n", name, st.used_bytes);
        buf_printf(out, "space.%s.item_bytes %" PRIu64 "\n", name, st.item_bytes);
        buf_printf(out, "space.%s.keys %" PRIu64 "\n", name, st.keys);
        buf_printf(out, "space.%s.evicted %" PRIu64 "\n", name, st.evicted);
        buf_printf(out, "space.%s.expired %" PRIu64 "\n", name, st.expired);
        buf_printf(out, "space.%s.outdated %" PRIu64 "\n", name, st.outdated);
    }
}

static void put_follow(struct server *s, struct buf *out)
{
    struct follow_status st;
    follow_status(s->follow, &st);
    char token[FRESH_TOKEN_MAX];
    buf_printf(out, "follow.state %s\n", follow_state_name(st.state));
    if (st.last_error[0] != '\0') {
        buf_printf(out, "follow.last_error %s\n", st.last_error);
    }
    if (fresh_epoch(s->fresh) != 0) {
        (void)fresh_token_format(s->fresh, fresh_applied(s->fresh), token);
        buf_printf(out, "follow.applied %s\n", token);
        (void)fresh_token_format(s->fresh, fresh_visible(s->fresh), token);
        buf_printf(out, "follow.visible %s\n", token);
    }
    uint64_t age = fresh_proof_age(s->fresh, clock_now_ms());
    if (age != UINT64_MAX) {
        put(out, "follow.proof_age_ms", age);
    }
    put(out, "follow.commits", st.commits);
    put(out, "follow.rows", st.rows);
    put(out, "follow.bytes", st.bytes);
    put(out, "follow.reconnects", st.reconnects);
    put(out, "follow.probes", st.probes);
    put(out, "follow.kicks", st.kicks);
    put(out, "follow.fence_waits", st.fence_waits);
}

void stats_text(struct worker *w, struct buf *out)
{
    struct server *s = w->server;
    buf_append_str(out, "version " FRESHET_VERSION "\n");
    put(out, "uptime_s", (clock_now_ms() - s->started_ms) / 1000);
    put(out, "workers", s->worker_count);
    put(out, "connections", atomic_load_explicit(&s->connections, memory_order_relaxed));
#define X(name, help) put(out, #name, serve_counter_sum(s, offsetof(struct serve_counters, name)));
    SERVE_COUNTERS(X)
#undef X
    if (s->follow != NULL) {
        put_follow(s, out);
    }
    put_spaces(s, out);
}
