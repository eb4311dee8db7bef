/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list under a lock, and an eventfd that is written when the list was empty: a reader is woken
 * once for however many messages wait. The reader takes all of them out at once and runs them
 * without the lock, so a handler may post.
 *
 * Threads: posting: any; the rest: the reader.
 */
#include "base/mailbox.h"

#include "base/check.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *mb)
{
    lock_init(&mb->lock, LOCK_RANK_MAILBOX);
    list_init(&mb->queue);
    mb->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    check(mb->fd >= 0);
}

void mailbox_fini(struct mailbox *mb)
{
    check(list_empty(&mb->queue));
    (void)close(mb->fd);
    lock_fini(&mb->lock);
}

void mailbox_post(struct mailbox *mb, struct mail *m, mail_fn *handle)
{
    m->handle = handle;
    lock_acquire(&mb->lock);
    bool was_empty = list_empty(&mb->queue);
    list_push_back(&mb->queue, &m->node);
    lock_release(&mb->lock);
    if (was_empty) {
        uint64_t one = 1;
        check(write(mb->fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    }
}

void mailbox_drain(struct mailbox *mb)
{
    uint64_t count;
    (void)!read(mb->fd, &count, sizeof(count));
    struct list todo;
    list_init(&todo);
    lock_acquire(&mb->lock);
    struct list *node;
    while ((node = list_pop_front(&mb->queue)) != NULL) {
        list_push_back(&todo, node);
    }
    lock_release(&mb->lock);
    while ((node = list_pop_front(&todo)) != NULL) {
        struct mail *m = container_of(node, struct mail, node);
        m->handle(m);
    }
}
