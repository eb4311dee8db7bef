/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between threads: many posters, one reader, an eventfd to wake the reader's loop.
 *
 * A message is embedded in the thing it is about; the mailbox allocates nothing and owns nothing.
 * From mailbox_post() until its handler runs, the message belongs to the mailbox: post it once.
 * Messages run in the order posted, in the reader's thread. (After h2o's multithread receivers.)
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include "base/list.h"
#include "base/lock.h"

struct mail;
typedef void mail_fn(struct mail *m);

struct mail {
    struct list node;
    mail_fn *handle;
};

struct mailbox {
    struct lock lock;
    struct list queue; /* lock */
    int fd;            /* eventfd; readable when the queue may be non-empty */
};

/* A mailbox that ends is empty. */
void mailbox_init(struct mailbox *mb);
void mailbox_fini(struct mailbox *mb);
/* Any thread. */
void mailbox_post(struct mailbox *mb, struct mail *m, mail_fn *handle);
/* Reader only: runs every message posted before the call. */
void mailbox_drain(struct mailbox *mb);

#endif
