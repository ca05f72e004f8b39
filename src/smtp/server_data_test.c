/* Dialogues of DATA and BDAT: line ends, dots, limits, and what ends a message. */
#include "smtp/test_dialogue.h"

#define EHLO     "EHLO client.example\r\n"
#define ENVELOPE "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define BEGIN    EHLO ENVELOPE
#define BEGUN    "220, 250, 250 2.1.0, 250 2.1.5"
#define DATA     BEGIN "DATA\r\n"
#define DATA_ON  BEGUN ", 354"
#define FROM_TO  "a@b.example -> c@d.example: "
#define A64      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
small_size(struct smtp_server_settings *settings)
{
    settings->limits.message_size = 10;
}

static void
short_lines(struct smtp_server_settings *settings)
{
    settings->limits.text_line = 5;
}

static void
bare_lf_is_data(struct smtp_server_settings *settings)
{
    settings->bare_lf = SMTP_BARE_LF_DATA;
}

static void
bare_lf_is_crlf(struct smtp_server_settings *settings)
{
    settings->bare_lf = SMTP_BARE_LF_NORMALIZE;
}

static void
small_and_lf_is_crlf(struct smtp_server_settings *settings)
{
    bare_lf_is_crlf(settings);
    settings->limits.message_size = 2;
}

static void
small_size_with_lf(struct smtp_server_settings *settings)
{
    bare_lf_is_crlf(settings);
    small_size(settings);
}

static void
few_received(struct smtp_server_settings *settings)
{
    settings->limits.received = 1;
}

static void
strict_header(struct smtp_server_settings *settings)
{
    settings->refuse_malformed_header = true;
}

static void
few_small_chunks(struct smtp_server_settings *settings)
{
    settings->limits.small_chunks = 2;
}

static const struct dialogue data_table[] = {
    ROW("empty", NULL, DATA ".\r\n", DATA_ON ", [" FROM_TO "0], 250 2.0.0"),
    ROW("dot-stuffing", NULL, DATA "..\r\n..x\r\n.y\r\n. \r\n.\r\n",
        DATA_ON ", [" FROM_TO "13], 250 2.0.0"),
    ROW("two messages", NULL, DATA "x\r\n.\r\n" ENVELOPE "DATA\r\ny\r\n.\r\n",
        DATA_ON ", [" FROM_TO "3], 250 2.0.0, 250 2.1.0, 250 2.1.5, 354, [" FROM_TO
                "3], 250 2.0.0"),
    ROW("refused content ends the transaction", NULL, DATA "REFUSE\r\n.\r\nDATA\r\n" ENVELOPE,
        DATA_ON ", [" FROM_TO "8], 554 5.7.1, 503 5.5.1, 250 2.1.0, 250 2.1.5"),
    ROW("LF.LF", NULL, DATA "x\n.\nMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("LF.CRLF", NULL, DATA "x\n.\r\nMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("CRLF.LF", NULL, DATA "x\r\n.\nMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("CRLF.CR", NULL, DATA "x\r\n.\rMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("CR.CR", NULL, DATA "x\r.\rMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("CR.CRLF", NULL, DATA "x\r.\r\nMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("CRCRLF.CRCRLF", NULL, DATA "x\r\r\n.\r\r\nNOOP\r\n.\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("bare LF in text", NULL, DATA "x\ny\r\nz\r\n.\r\nNOOP\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("bare LF first of all", NULL, DATA "\nx\r\n.\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("bare CR in text", NULL, DATA "x\ry\r\n.\r\nNOOP\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("NUL", NULL, DATA "x\0y\r\n.\0\r\n.\r\nNOOP\r\n", DATA_ON ", 554 5.6.0, 250 2.0.0"),
    ROW("NUL, then bare LF", NULL, DATA "x\0y\r\nz\n.\r\nNOOP\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("other blanks around the dot", NULL, DATA "x\r\n .\r\n.\t\r\n.\x0b\r\n. .\r\n.\r\n",
        DATA_ON ", [" FROM_TO "17], 250 2.0.0"),
    ROW("NEL is no line end", NULL, DATA "x\x85.\x85y\r\n.\r\n",
        DATA_ON ", [" FROM_TO "7], 250 2.0.0"),
    ROW("bare LF as data", bare_lf_is_data, DATA "x\ny\n\r\n.\r\n",
        DATA_ON ", [" FROM_TO "6], 250 2.0.0"),
    ROW("bare LF as data before a dot", bare_lf_is_data, DATA "x\n.\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("bare LF as data behind a dot", bare_lf_is_data, DATA "x.\ny\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("bare LF as data behind a stuffed dot", bare_lf_is_data, DATA "x\r\n..\ny\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("LF LF as data before a dot", bare_lf_is_data, DATA "x\n\n.y\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("LF becomes CRLF", bare_lf_is_crlf, DATA "x\ny.\n\n..z\n.a\r\n.\r\n",
        DATA_ON ", [" FROM_TO "16], 250 2.0.0"),
    ROW("LF first of all", bare_lf_is_crlf, DATA "\nx\r\n.\r\n",
        DATA_ON ", [" FROM_TO "5], 250 2.0.0"),
    ROW("LF before the end", bare_lf_is_crlf, DATA "x\n\r\n.\r\nNOOP\r\n",
        DATA_ON ", [" FROM_TO "5], 250 2.0.0, 250 2.0.0"),
    ROW("LF.LF where LF is CRLF", bare_lf_is_crlf, DATA "x\n.\nMAIL FROM:<evil@b.example>\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("LF.CRLF where LF is CRLF", bare_lf_is_crlf,
        DATA "x\n.\r\nMAIL FROM:<evil@b.example>\r\n.\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("LF.CRLF behind the LF that is too much", small_and_lf_is_crlf,
        DATA "x\n.\r\nMAIL FROM:<evil@b.example>\r\n.\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("a stuffed dot that is too much", small_and_lf_is_crlf, DATA "\r\n..\r\n.\r\nNOOP\r\n",
        DATA_ON ", 552 5.3.4, 250 2.0.0"),
    ROW("CRLF.LF where LF is CRLF", bare_lf_is_crlf,
        DATA "x\r\n.\nMAIL FROM:<evil@b.example>\r\n.\r\n", DATA_ON ", 521 5.5.2, closed"),
    ROW("first LF.CRLF where LF is CRLF", bare_lf_is_crlf, DATA "\n.\r\nNOOP\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("bare CR where LF is CRLF", bare_lf_is_crlf, DATA "x\ry\n\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("NUL where LF is CRLF", bare_lf_is_crlf, DATA "x\0y\nz\n\r\n.\r\nNOOP\r\n",
        DATA_ON ", 554 5.6.0, 250 2.0.0"),
    ROW("made line ends count", small_size_with_lf, DATA "12\n34\n5\r\n.\r\nNOOP\r\n",
        DATA_ON ", 552 5.3.4, 250 2.0.0"),
    ROW("too large, then LF", small_size_with_lf, DATA "123456789\nx\n\r\n.\r\nNOOP\r\n",
        DATA_ON ", 552 5.3.4, 250 2.0.0"),
    ROW("too large, then LF.LF", small_size_with_lf, DATA "123456789\nx\n.\nHELP\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("too large, then LF.CRLF", small_size_with_lf, DATA "123456789\nx\n.\r\nHELP\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("size at its limit", small_size, DATA "12345678\r\n.\r\n",
        DATA_ON ", [" FROM_TO "10], 250 2.0.0"),
    ROW("dots of stuffing do not count", small_size, DATA "..234567\r\n.\r\n",
        DATA_ON ", [" FROM_TO "9], 250 2.0.0"),
    ROW("size above its limit", small_size, DATA "123456789\r\n.\r\nNOOP\r\n",
        DATA_ON ", 552 5.3.4, 250 2.0.0"),
    ROW("too large, then dots", small_size, DATA "123456789\r\n..\r\n.x\r\n.\r\nNOOP\r\n",
        DATA_ON ", 552 5.3.4, 250 2.0.0"),
    ROW("too large, then CRLF.LF", small_size, DATA "123456789\r\nx\r\n.\nHELP\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("too large, then CRLF.CR", small_size, DATA "123456789\r\nx\r\n.\rHELP\r\n.\r\n",
        DATA_ON ", 521 5.5.2, closed"),
    ROW("line at its limit", short_lines, DATA "12345\r\n.1234\r\n..234\r\n.\r\n",
        DATA_ON ", [" FROM_TO "19], 250 2.0.0"),
    ROW("line above its limit", short_lines, DATA "123456\r\n.\r\nNOOP\r\n",
        DATA_ON ", 554 5.6.0, 250 2.0.0"),
    ROW("one Received", few_received,
        DATA "Received: a\r\n b\r\nX-Received: c\r\nReceivedX: d\r\n\r\nReceived: e\r\n.\r\n",
        DATA_ON ", [" FROM_TO "61], 250 2.0.0"),
    ROW("a loop", few_received, DATA "RECEIVED : a\r\nreceived:b\r\n\r\n.\r\nNOOP\r\n",
        DATA_ON ", 554 5.4.6, 250 2.0.0"),
    ROW("malformed header is noted", NULL, DATA "A: b\r\nBad header\r\n\r\n.\r\n",
        DATA_ON ", [" FROM_TO "20], 250 2.0.0"),
    ROW("malformed header", strict_header, DATA "A: b\r\nBad header\r\n\r\n.\r\n",
        DATA_ON ", 554 5.6.0"),
    ROW("header without name", strict_header, DATA ": b\r\n\r\n.\r\n", DATA_ON ", 554 5.6.0"),
    ROW("continuation first", strict_header, DATA " b\r\n\r\n.\r\n", DATA_ON ", 554 5.6.0"),
    ROW("body is not looked at", strict_header, DATA "A: b\r\n\r\nBad header\r\n c\r\n.\r\n",
        DATA_ON ", [" FROM_TO "24], 250 2.0.0"),
    ROW("no header", strict_header, DATA "\r\nBad header\r\n.\r\n",
        DATA_ON ", [" FROM_TO "14], 250 2.0.0"),
};

static const struct dialogue bdat_table[] = {
    ROW("one chunk", NULL, BEGIN "BDAT 7 LAST\r\nab\r\n.\r\n", BEGUN ", [" FROM_TO "7], 250 2.0.0"),
    ROW("chunks cut a line", NULL, BEGIN "BDAT 3\r\na\r\nBDAT 2\r\nbcBDAT 4 last\r\nd\r\nx",
        BEGUN ", 250 2.0.0, 250 2.0.0, [" FROM_TO "11], 250 2.0.0"),
    ROW("CRLF across chunks", NULL, BEGIN "BDAT 2\r\na\rBDAT 1 LAST\r\n\n",
        BEGUN ", 250 2.0.0, [" FROM_TO "3], 250 2.0.0"),
    ROW("the last line gets its CRLF", NULL, BEGIN "BDAT 1 LAST\r\na",
        BEGUN ", [" FROM_TO "3], 250 2.0.0"),
    ROW("no octets at all", NULL, BEGIN "BDAT 0 LAST\r\n", BEGUN ", [" FROM_TO "0], 250 2.0.0"),
    ROW("BDAT 0 LAST ends", NULL, BEGIN "BDAT 3\r\na\r\nBDAT 0 LAST\r\nNOOP\r\n",
        BEGUN ", 250 2.0.0, [" FROM_TO "3], 250 2.0.0, 250 2.0.0"),
    ROW("commands within a chunk are content", NULL,
        BEGIN "BDAT 15 LAST\r\nRSET\r\n.\r\nQUIT\r\nNOOP\r\n",
        BEGUN ", [" FROM_TO "15], 250 2.0.0, 250 2.0.0"),
    ROW("refused content", NULL, BEGIN "BDAT 8 LAST\r\nREFUSE\r\nBDAT 1 LAST\r\nxNOOP\r\n",
        BEGUN ", [" FROM_TO "8], 554 5.7.1, 503 5.5.1, 250 2.0.0"),
    ROW("bare LF fails the chunk, not the connection", NULL,
        BEGIN "BDAT 4\r\na\nb\nBDAT 3\r\nab\nBDAT 2 LAST\r\n\r\n" ENVELOPE,
        BEGUN ", 554 5.6.0, 503 5.5.1, 503 5.5.1, 250 2.1.0, 250 2.1.5"),
    ROW("bare LF in the last chunk", NULL, BEGIN "BDAT 2 LAST\r\na\n" ENVELOPE,
        BEGUN ", 554 5.6.0, 250 2.1.0, 250 2.1.5"),
    ROW("CR at the very end", NULL, BEGIN "BDAT 2 LAST\r\na\rNOOP\r\n",
        BEGUN ", 554 5.6.0, 250 2.0.0"),
    ROW("bare CR across chunks", NULL, BEGIN "BDAT 2\r\na\rBDAT 1 LAST\r\nbNOOP\r\n",
        BEGUN ", 250 2.0.0, 554 5.6.0, 250 2.0.0"),
    ROW("after a failed chunk only RSET helps", NULL,
        BEGIN "BDAT 2\r\na\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\n" ENVELOPE,
        BEGUN ", 554 5.6.0, 503 5.5.1, 503 5.5.1, 503 5.5.1, 250 2.0.0, 250 2.1.0, 250 2.1.5"),
    ROW("DATA after BDAT", NULL, BEGIN "BDAT 3\r\na\r\nDATA\r\nRCPT TO:<a@b>\r\nMAIL FROM:<>\r\n",
        BEGUN ", 250 2.0.0, 503 5.5.1, 503 5.5.1, 503 5.5.1"),
    ROW("RSET between chunks", NULL, BEGIN "BDAT 3\r\na\r\nRSET\r\nBDAT 1 LAST\r\nxNOOP\r\n",
        BEGUN ", 250 2.0.0, 250 2.0.0, 503 5.5.1, 250 2.0.0"),
    ROW("EHLO between chunks", NULL, BEGIN "BDAT 3\r\na\r\n" EHLO "MAIL FROM:<>\r\n",
        BEGUN ", 250 2.0.0, 250, 250 2.1.0"),
    ROW("without sender", NULL, EHLO "BDAT 3 LAST\r\na\r\nNOOP\r\n",
        "220, 250, 503 5.5.1, 250 2.0.0"),
    ROW("without recipients", NULL,
        EHLO "MAIL FROM:<>\r\nBDAT 3 LAST\r\na\r\nRCPT TO:<no@d.example>\r\nBDAT 1\r\nx"
             "RCPT TO:<c@d.example>\r\nBDAT 0 LAST\r\n",
        "220, 250, 250 2.1.0, 503 5.5.1, 550 5.1.1, 554 5.5.1, 250 2.1.5, [ -> c@d.example: 0], "
        "250 2.0.0"),
    ROW("syntax", NULL, BEGIN "BDAT x\r\nNOOP\r\n", BEGUN ", 501 5.5.4, closed"),
    ROW("no size", NULL, BEGIN "BDAT\r\n", BEGUN ", 501 5.5.4, closed"),
    ROW("negative size", NULL, BEGIN "BDAT -1 LAST\r\n", BEGUN ", 501 5.5.4, closed"),
    ROW("not LAST", NULL, BEGIN "BDAT 1 LASTING\r\nx", BEGUN ", 501 5.5.4, closed"),
    ROW("size beyond counting", NULL, BEGIN "BDAT 99999999999999999999\r\n",
        BEGUN ", 501 5.5.4, closed"),
    ROW("far too large at once", NULL, BEGIN "BDAT 4000000000\r\n", BEGUN ", 552 5.3.4, closed"),
    ROW("huge without a transaction", NULL, EHLO "BDAT 4000000000\r\n",
        "220, 250, 503 5.5.1, closed"),
    ROW("size at its limit", small_size, BEGIN "BDAT 5\r\n123\r\nBDAT 5 LAST\r\n123\r\n",
        BEGUN ", 250 2.0.0, [" FROM_TO "10], 250 2.0.0"),
    ROW("size above its limit", small_size,
        BEGIN "BDAT 5\r\n123\r\nBDAT 6 LAST\r\n1234\r\nNOOP\r\n",
        BEGUN ", 250 2.0.0, 552 5.3.4, 250 2.0.0"),
    ROW("many tiny chunks", few_small_chunks, BEGIN "BDAT 1\r\naBDAT 0\r\nBDAT 1\r\nb",
        BEGUN ", 250 2.0.0, 250 2.0.0, 421 4.7.0, closed"),
    ROW("a small last chunk is not counted", few_small_chunks,
        BEGIN "BDAT 1\r\naBDAT 0\r\nBDAT 2 LAST\r\n\r\n",
        BEGUN ", 250 2.0.0, 250 2.0.0, [" FROM_TO "3], 250 2.0.0"),
    ROW("no dots in chunks", NULL, BEGIN "BDAT 9 LAST\r\n..\r\n.\r\n\r\n",
        BEGUN ", [" FROM_TO "9], 250 2.0.0"),
};

static void
test_data(void **state)
{
    (void)state;
    dialogues_check(data_table, sizeof data_table / sizeof data_table[0], SMTP_LISTENER_MX, true);
}

static void
test_bdat(void **state)
{
    (void)state;
    dialogues_check(bdat_table, sizeof bdat_table / sizeof bdat_table[0], SMTP_LISTENER_MX, false);
}

struct content_row {
    struct str input; /* behind BEGIN */
    struct str content;
    struct smtp_content_facts facts;
};

static const struct content_row content_rows[] = {
    {STR_INIT("DATA\r\n..a\r\n.b\r\n...\r\n\r\n.\r\n"),
     STR_INIT(".a\r\nb\r\n..\r\n\r\n"),
     {.size = 13, .lines = 4, .longest_line = 2, .header_malformed = true}},
    {STR_INIT("DATA\r\nReceived: x\r\nSubject: \xc3\xa9\r\n\r\nb\r\n.\r\n"),
     STR_INIT("Received: x\r\nSubject: \xc3\xa9\r\n\r\nb\r\n"),
     {.size = 31,
      .lines = 4,
      .longest_line = 11,
      .received_count = 1,
      .has_8bit = true,
      .header_has_8bit = true}},
    {STR_INIT("DATA\r\nA: b\r\n\r\n\xff\r\n.\r\n"),
     STR_INIT("A: b\r\n\r\n\xff\r\n"),
     {.size = 11, .lines = 3, .longest_line = 4, .has_8bit = true}},
    {STR_INIT("BDAT 7\r\nA: b\r\n\rBDAT 3 LAST\r\n\nxy"),
     STR_INIT("A: b\r\n\r\nxy\r\n"),
     {.size = 12, .lines = 3, .longest_line = 4, .chunked = true, .final_crlf_added = true}},
};

static void
content_check(const struct content_row *row, size_t step)
{
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(BEGIN), step);
    test_edge_feed(&edge, row->input, step);
    assert_int_equal(edge.message_count, 1);
    const struct test_message *message = &edge.messages[0];
    assert_true(str_eq(message->content, row->content));
    assert_int_equal(message->facts.size, row->facts.size);
    assert_int_equal(message->facts.lines, row->facts.lines);
    assert_int_equal(message->facts.longest_line, row->facts.longest_line);
    assert_int_equal(message->facts.received_count, row->facts.received_count);
    assert_int_equal(message->facts.has_8bit, row->facts.has_8bit);
    assert_int_equal(message->facts.header_has_8bit, row->facts.header_has_8bit);
    assert_int_equal(message->facts.header_malformed, row->facts.header_malformed);
    assert_int_equal(message->facts.chunked, row->facts.chunked);
    assert_int_equal(message->facts.final_crlf_added, row->facts.final_crlf_added);
    test_edge_close(&edge);
}

static void
test_content_and_facts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof content_rows / sizeof content_rows[0]; i++) {
        for (size_t step = 0; step < content_rows[i].input.n; step++) {
            content_check(&content_rows[i], step);
        }
    }
}

/* What had been handed out of a message that is refused is taken back, once. */
static void
test_refused_content_is_discarded(void **state)
{
    (void)state;
    static const struct str inputs[] = {
        STR_INIT(DATA "abc\r\nd\0e\r\n.\r\n"),
        STR_INIT(DATA "abc\r\nd\n.\r\n"),
        STR_INIT(BEGIN "BDAT 5\r\nabc\r\nRSET\r\n"),
        STR_INIT(BEGIN "BDAT 5\r\nabc\r\nEHLO x\r\n"),
        STR_INIT(BEGIN "BDAT 5\r\nabc\r\nQUIT\r\n"),
        STR_INIT(BEGIN "BDAT 5\r\nabc\r\nBDAT 2\r\nd\n"),
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, inputs[i], 1);
        assert_int_equal(edge.discards, 1);
        assert_int_equal(edge.message_count, 0);
        assert_int_equal(buf_length(&edge.body), 0);
        test_edge_close(&edge);
    }
}

/* The edge has taken the message: whatever the answer to it, it is not told to drop it. */
static void
test_submitted_content_is_not_discarded(void **state)
{
    (void)state;
    static const char *const inputs[] = {DATA "abc\r\n.\r\n", DATA "REFUSE\r\n.\r\n",
                                         BEGIN "BDAT 5 LAST\r\nabc\r\n"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_MX, NULL);
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(inputs[i]), 0);
        test_edge_feed(&edge, STR("NOOP\r\n"), 0);
        assert_int_equal(edge.message_count, 1);
        assert_int_equal(edge.discards, 0);
        test_edge_close(&edge);
    }
}

/* A refused message is read past only so far. */
static void
test_swallowing_is_bounded(void **state)
{
    (void)state;
    static char block[1u << 20];
    memset(block, 'a', sizeof block);
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_MX, small_size);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(DATA), 0);
    for (unsigned i = 0; i < 100 && !edge.closed; i++) {
        test_edge_feed(&edge, str_make(block, sizeof block), 0);
    }
    assert_str(buf_str(&edge.log), DATA_ON ", 552 5.3.4, closed");
    test_edge_close(&edge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_bdat),
        cmocka_unit_test(test_content_and_facts),
        cmocka_unit_test(test_refused_content_is_discarded),
        cmocka_unit_test(test_submitted_content_is_not_discarded),
        cmocka_unit_test(test_swallowing_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
