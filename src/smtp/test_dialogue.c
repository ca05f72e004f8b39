#include "smtp/test_dialogue.h"

void
assert_str_at(struct str got, const char *want, const char *file, int line)
{
    if (!str_eq(got, str_from_cstr(want))) {
        print_error("got:  %.*s\nwant: %s\n", STR_ARG(got), want);
        _fail(file, line);
    }
}

static void
dialogue_open(struct test_edge *edge, const struct dialogue *row, enum smtp_listener_kind kind,
              bool tls)
{
    test_edge_open(edge, kind, row->tweak);
    if (tls) {
        test_edge_tls(edge);
    }
    test_edge_start(edge);
}

static void
dialogue_close(struct test_edge *edge, const struct dialogue *row, const char *how, size_t at)
{
    if (!str_eq(buf_str(&edge->log), str_from_cstr(row->want))) {
        print_error("%s, %s %zu\n", row->name, how, at);
        assert_str(buf_str(&edge->log), row->want);
    }
    test_edge_close(edge);
}

void
dialogues_check(const struct dialogue *rows, size_t count, enum smtp_listener_kind kind, bool tls)
{
    for (const struct dialogue *row = rows; row < rows + count; row++) {
        struct test_edge edge;
        for (size_t step = 0; step <= 1; step++) {
            dialogue_open(&edge, row, kind, tls);
            test_edge_feed(&edge, row->input, step);
            dialogue_close(&edge, row, "step", step);
        }
        for (size_t cut = 1; cut < row->input.n; cut++) {
            dialogue_open(&edge, row, kind, tls);
            test_edge_feed(&edge, str_head(row->input, cut), 0);
            test_edge_feed(&edge, str_skip(row->input, cut), 0);
            dialogue_close(&edge, row, "cut", cut);
        }
    }
}
