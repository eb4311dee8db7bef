/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thread roles, checked at compile time by clang's thread-safety analysis (no-ops under gcc).
 *
 * A role is a pretended global lock that a thread body holds for life: data marked
 * GUARDED_BY(follower_role) can be touched only from functions marked REQUIRES(follower_role).
 */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#if defined(__clang__)
#define THREAD_ANNOTATION(x) __attribute__((x))
#else
#define THREAD_ANNOTATION(x)
#endif

#define CAPABILITY(name)     THREAD_ANNOTATION(capability(name))
#define GUARDED_BY(cap)      THREAD_ANNOTATION(guarded_by(cap))
#define REQUIRES(...)        THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define ACQUIRE(...)         THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...)     THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define RELEASE(...)         THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY     THREAD_ANNOTATION(no_thread_safety_analysis)
#define ASSERT_CAPABILITY(x) THREAD_ANNOTATION(assert_capability(x))

struct CAPABILITY("role") thread_role {
    int unused;
};

/* The one that writes marks; the one that may block on the database; any one of those that serve. */
extern struct thread_role follower_role;
extern struct thread_role keeper_role;
extern struct thread_role worker_role;

/* A thread body says once which role it plays. */
static inline void role_assume(const struct thread_role *role) ASSERT_CAPABILITY(role)
{
    (void)role;
}

#endif
