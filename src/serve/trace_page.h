/* SPDX-License-Identifier: BSD-3-Clause */
/* trace_page: GET /trace of the admin face, what `freshet tail` polls. */
#ifndef SERVE_TRACE_PAGE_H
#define SERVE_TRACE_PAGE_H

#include "serve/serve.h"

/*
 * Appends the trace events of all threads, merged by time, one a line, then a line that says where to
 * go on: "# cursor C lost N". The query may have
 *   since    a cursor, or `now`: no events, only a cursor. Without it: all that is still there
 *   age      only events younger than so many milliseconds
 *   event    only these, "hit,miss"
 *   thread   only this one
 *   match    only events whose text holds this
 *   format   `text` (default) or `json`, one object a line, the last one {"cursor":...,"lost":...}
 * `lost`: events overwritten since the cursor, whatever the filters. False: the query is wrong.
 */
bool trace_page(struct worker *w, struct slice query, struct buf *out);

#endif
