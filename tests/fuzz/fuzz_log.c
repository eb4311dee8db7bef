/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for reading the log of durable spaces. Any bytes are read to an end, a tear or damage,
 * without touching memory outside of them; what was read stays read when what follows is cut off; and
 * what the input would be as the commands of a group is read back as that, or refused.
 */
#include "base/alloc.h"
#include "persist/group.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads to the end; where that was, and how many groups there were. */
static enum group_result read_all(struct slice all, size_t *ret_at, uint64_t *ret_groups)
{
    struct group_reader r;
    struct slice commands;
    enum group_result result;
    group_reader_init(&r, all);
    while ((result = group_read(&r, &commands)) == GROUP_READ) {
        while (group_next_command(&r, &commands)) {
        }
        check(commands.len == 0);
    }
    check(r.at <= all.len && (result != GROUP_END || r.at == all.len));
    *ret_at = r.at;
    *ret_groups = r.groups;
    group_reader_fini(&r);
    return result;
}

static void read_as_file(struct slice all)
{
    size_t at;
    size_t again;
    uint64_t groups;
    uint64_t same;
    (void)read_all(all, &at, &groups);
    if (groups > 0) {
        check(read_all((struct slice){all.ptr, at}, &again, &same) == GROUP_END);
        check(again == at && same == groups);
    }
}

static void read_as_group(struct slice commands)
{
    struct buf file;
    struct buf group;
    size_t at;
    uint64_t groups;
    buf_init(&file);
    buf_init(&group);
    group_put_header(&file, 5, false);
    buf_append_slice(&group, commands);
    group_put_proof(&group, 5, buf_len(&file));
    size_t header = buf_len(&file);
    buf_append_slice(&file, buf_readable(&group));
    (void)read_all(buf_readable(&file), &at, &groups);
    check(groups >= 1 && at >= header);
    buf_fini(&group);
    buf_fini(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size > 0 ? size : 1); /* so that the sanitizer sees the end */
    memcpy(copy, data, size);
    read_as_file((struct slice){copy, size});
    read_as_group((struct slice){copy, size});
    free(copy);
    return 0;
}
