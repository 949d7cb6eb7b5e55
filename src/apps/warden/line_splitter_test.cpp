#include "apps/warden/line_splitter.h"

#include <gtest/gtest.h>

#include "exec/testing/rank_probe.h"

namespace trainyard::warden {
namespace {

using exec::testing::log_pieces;

std::vector<std::string> texts(const std::string& encoded) {
  std::vector<std::string> found;
  for (const exec::testing::LogPiece& piece : log_pieces(encoded)) found.push_back(piece.text);
  return found;
}

class LogSplitterTest : public ::testing::Test {
 protected:
  void feed(std::string_view bytes, std::uint8_t stream = exec::kStdoutStream) { splitter.feed(stream, bytes, {}, out); }
  LogSplitter splitter{"t0ken"};
  std::string out;
};

TEST_F(LogSplitterTest, lines_become_records_with_their_newline) {
  feed("a\nb\n");
  EXPECT_EQ(texts(out), (std::vector<std::string>{"a\n", "b\n"}));
  EXPECT_FALSE(splitter.has_partial());
}

TEST_F(LogSplitterTest, line_in_pieces_waits_for_its_end_or_the_flush) {
  feed("one");
  feed(" line\nnext");
  EXPECT_EQ(texts(out), (std::vector<std::string>{"one line\n"}));
  EXPECT_TRUE(splitter.has_partial());
  splitter.flush({}, out);
  EXPECT_EQ(texts(out), (std::vector<std::string>{"one line\n", "next"}));
}

TEST_F(LogSplitterTest, character_that_has_begun_waits_for_its_rest) {
  feed("5 \xe2\x82");
  splitter.flush_begun({}, out);
  EXPECT_EQ(texts(out), (std::vector<std::string>{"5 "}));
  feed("\xac each");
  splitter.flush_begun({}, out);
  EXPECT_EQ(texts(out), (std::vector<std::string>{"5 ", "\xe2\x82\xac each"}));
  feed("\xff\xfe");  // No UTF-8 at all.
  splitter.flush_begun({}, out);
  feed("\xf0\x9f");
  splitter.flush({}, out);
  EXPECT_EQ(texts(out), (std::vector<std::string>{"5 ", "\xe2\x82\xac each", "\xff\xfe", "\xf0\x9f"}));
  EXPECT_FALSE(splitter.has_partial());
}

TEST_F(LogSplitterTest, streams_do_not_mix) {
  feed("out", exec::kStdoutStream);
  feed("err\n", exec::kStderrStream);
  feed("\n", exec::kStdoutStream);
  const auto pieces = log_pieces(out);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].stream, exec::kStderrStream);
  EXPECT_EQ(pieces[1].text, "out\n");
}

TEST_F(LogSplitterTest, long_line_is_split_at_the_limit_without_loss) {
  const std::string line = std::string(3 * exec::kSpoolLineMax + 10, 'x') + "\n";
  for (std::size_t at = 0; at < line.size(); at += 50'000) feed(std::string_view(line).substr(at, 50'000));
  std::string joined;
  for (const std::string& text : texts(out)) {
    EXPECT_LE(text.size(), exec::kSpoolLineMax);
    joined += text;
  }
  EXPECT_TRUE(joined == line);
}

TEST_F(LogSplitterTest, secret_is_replaced_wherever_it_stands) {
  feed("t0ken and t0kent0ken\nnothing\n");
  EXPECT_EQ(texts(out), (std::vector<std::string>{"[redacted] and [redacted][redacted]\n", "nothing\n"}));
}

TEST_F(LogSplitterTest, any_way_of_cutting_the_input_gives_the_same_records) {
  const std::string input = "first\n\nthird line\n\nlast";
  std::string whole;
  LogSplitter("").feed(exec::kStdoutStream, input.substr(0, input.rfind('\n') + 1), {}, whole);
  for (std::size_t size = 1; size < input.size(); ++size) {
    LogSplitter pieces("");
    std::string encoded;
    for (std::size_t at = 0; at < input.size(); at += size) pieces.feed(exec::kStdoutStream, input.substr(at, size), {}, encoded);
    EXPECT_EQ(encoded, whole) << size;
  }
}

TEST(EventSplitter, only_json_objects_pass) {
  EventSplitter splitter("");
  EventSplitter::Output output;
  splitter.feed("{\"event\":\"a\"}\nnonsense\n\n[]\n{\"event\":", output);
  splitter.feed("\"b\"}\n{\"event\":\"c\"}", output);
  splitter.finish(output);
  EXPECT_EQ(output.lines, "{\"event\":\"a\"}\n{\"event\":\"b\"}\n{\"event\":\"c\"}\n");
  EXPECT_EQ(output.rejected.size(), 2u);
}

TEST(EventSplitter, line_over_the_limit_is_dropped_once_and_the_next_one_passes) {
  EventSplitter splitter("");
  EventSplitter::Output output;
  const std::string large = "{\"event\":\"" + std::string(2 * exec::kSpoolLineMax, 'x') + "\"}\n";
  for (std::size_t at = 0; at < large.size(); at += 1'000) splitter.feed(std::string_view(large).substr(at, 1'000), output);
  splitter.feed("{\"event\":\"small\"}\n", output);
  EXPECT_EQ(output.lines, "{\"event\":\"small\"}\n");
  EXPECT_EQ(output.rejected.size(), 1u);
}

TEST(EventSplitter, metric_without_a_time_gets_that_of_its_arrival_and_others_stay) {
  EventSplitter splitter("");
  EventSplitter::Output output{.lines = {}, .rejected = {}, .now = time_from_micros(7)};
  splitter.feed("{\"event\":\"metric\",\"step\":1} \n{\"event\":\"metric\",\"time_us\":3}\n{\"event\":\"ready\"}\n", output);
  EXPECT_EQ(output.lines, "{\"event\":\"metric\",\"step\":1,\"time_us\":7}\n{\"event\":\"metric\",\"time_us\":3}\n{\"event\":\"ready\"}\n");
}

TEST(EventSplitter, secret_in_an_event_is_replaced) {
  EventSplitter splitter("t0ken");
  EventSplitter::Output output;
  splitter.feed("{\"event\":\"result\",\"values\":{\"t\":\"t0ken\"}}\n", output);
  EXPECT_EQ(output.lines, "{\"event\":\"result\",\"values\":{\"t\":\"[redacted]\"}}\n");
}

}  // namespace
}  // namespace trainyard::warden
