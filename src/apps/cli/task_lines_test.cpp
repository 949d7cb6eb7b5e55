#include "apps/cli/task_lines.h"

#include <gtest/gtest.h>

#include <map>

namespace trainyard::apps {
namespace {

const TimePoint kNow = parse_rfc3339("2026-01-01T00:01:00Z").value();
const OutputStyle kPlain{.columns = 400};

Document task(const std::string& name, const std::string& state, const std::string& output = "{}") {
  Document task = Document::object({{"name", name}, {"state", state}, {"reason", ""}, {"output", parse_json(output).value()}});
  if (state != "WAITING") task.set("started_at", "2026-01-01T00:00:47.500000Z");
  if (state == "SUCCEEDED" || state == "FAILED") task.set("ended_at", "2026-01-01T00:00:48.800000Z");
  return task;
}

Document run_of(std::vector<Document> tasks) { return Document::object({{"tasks", Document::array(std::move(tasks))}}); }

OutputStyle style_with(const TerminalFacts& facts, const std::map<std::string, std::string, std::less<>>& variables) {
  return choose_style(facts, [&variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(OutputStyle, terminal_is_live_and_coloured_with_its_size) {
  const OutputStyle style = style_with({.is_terminal = true, .columns = 120, .rows = 50}, {{"TERM", "xterm"}});
  EXPECT_TRUE(style.live);
  EXPECT_TRUE(style.color);
  EXPECT_EQ(style.columns, 120U);
  EXPECT_EQ(style.rows, 50U);
}

TEST(OutputStyle, unknown_size_is_80_by_24) {
  const OutputStyle style = style_with({.is_terminal = true}, {{"TERM", "xterm"}});
  EXPECT_EQ(style.columns, 80U);
  EXPECT_EQ(style.rows, 24U);
}

TEST(OutputStyle, no_color_force_color_and_dumb_are_respected) {
  EXPECT_FALSE(style_with({.is_terminal = true}, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}).color);
  EXPECT_TRUE(style_with({.is_terminal = true}, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}).live);
  EXPECT_TRUE(style_with({.is_terminal = true}, {{"TERM", "xterm"}, {"NO_COLOR", ""}}).color);
  EXPECT_FALSE(style_with({.is_terminal = true}, {{"TERM", "dumb"}}).live);
  EXPECT_FALSE(style_with({}, {{"TERM", "xterm"}}).color);
  EXPECT_TRUE(style_with({}, {{"FORCE_COLOR", "1"}}).color);
  EXPECT_FALSE(style_with({}, {{"FORCE_COLOR", "1"}, {"NO_COLOR", "1"}}).color);
}

TEST(Fit, text_is_cut_at_columns_and_not_inside_a_letter) {
  EXPECT_EQ(fit("abcdef", 3), "abc");
  EXPECT_EQ(fit("abc", 3), "abc");
  EXPECT_EQ(fit("\xc3\xa4\xc3\xb6\xc3\xbc", 2), "\xc3\xa4\xc3\xb6");
  EXPECT_EQ(fit("", 0), "");
}

TEST(Fit, control_characters_become_spaces) { EXPECT_EQ(fit("a\x1b[2Jb\nc\td", 20), "a [2Jb c d"); }

TEST(TaskLine, running_task_shows_time_so_far_steps_and_percent) {
  const Document training = task("train", "RUNNING", R"({"progress":{"done":457,"total":1263,"message":"epoch 2 of 3"}})");
  EXPECT_EQ(task_line(training, 8, kNow, kPlain), "train    RUNNING            12.5s  457/1263 (36%) epoch 2 of 3");
}

TEST(TaskLine, progress_without_a_total_is_its_message) {
  EXPECT_EQ(task_progress(task("deploy", "RUNNING", R"({"progress":{"done":0,"total":0,"message":"loading"}})")), "loading");
  EXPECT_EQ(task_progress(task("deploy", "RUNNING")), "");
  EXPECT_EQ(task_progress(task("t", "RUNNING", R"({"progress":{"done":7,"total":5,"message":""}})")), "7/5 (100%)");
}

TEST(TaskLine, finished_task_shows_its_time_and_figures) {
  const Document done =
      task("curate", "SUCCEEDED", R"({"result":{"kept":500,"dropped":0,"loss":0.123456,"seconds":3,"version":"a@1","train":400}})");
  EXPECT_EQ(task_line(done, 8, kNow, kPlain), "curate   SUCCEEDED           1.3s  kept 500, loss 0.1235, train 400");
}

TEST(TaskLine, failed_task_shows_why) {
  Document failed = task("gate", "FAILED");
  failed.set("reason", "0.5 is below 0.88");
  EXPECT_EQ(task_line(failed, 8, kNow, kPlain), "gate     FAILED              1.3s  0.5 is below 0.88");
}

TEST(TaskLine, waiting_task_has_no_time) { EXPECT_EQ(task_line(task("gate", "WAITING"), 8, kNow, kPlain), "gate     WAITING"); }

TEST(TaskLine, line_is_narrower_than_the_terminal_and_colours_do_not_count) {
  Document failed = task("gate", "FAILED");
  failed.set("reason", std::string(200, 'x'));
  EXPECT_EQ(task_line(failed, 8, kNow, {.live = true, .color = false, .columns = 60}).size(), 59U);
  const std::string colored = task_line(failed, 8, kNow, {.live = true, .color = true, .columns = 60});
  EXPECT_EQ(colored.size(), 59U + std::string("\x1b[31m\x1b[0m").size());
  EXPECT_NE(colored.find("\x1b[31mFAILED\x1b[0m"), std::string::npos);
}

TEST(TaskLines, terminal_block_is_drawn_over_itself) {
  TaskLines lines({.live = true, .color = false, .columns = 80, .rows = 24});
  const Document run = run_of({task("a", "SUCCEEDED"), task("b", "WAITING")});
  EXPECT_EQ(lines.update(run, kNow), "\x1b[2Ka        SUCCEEDED           1.3s\n\x1b[2Kb        WAITING\n");
  EXPECT_EQ(lines.update(run, kNow).substr(0, 4), "\x1b[2A");
}

TEST(TaskLines, plain_output_says_each_change_once_without_escapes) {
  TaskLines lines(kPlain);
  EXPECT_EQ(lines.update(run_of({task("a", "RUNNING"), task("b", "WAITING")}), kNow), "a        RUNNING            12.5s\n");
  EXPECT_EQ(lines.update(run_of({task("a", "RUNNING"), task("b", "WAITING")}), kNow), "");
  const std::string text = lines.update(run_of({task("a", "SUCCEEDED"), task("b", "RUNNING")}), kNow);
  EXPECT_EQ(text, "a        SUCCEEDED           1.3s\nb        RUNNING            12.5s\n");
}

TEST(TaskLines, block_higher_than_the_terminal_is_not_redrawn) {
  TaskLines lines({.live = true, .color = false, .columns = 80, .rows = 2});
  const std::string text = lines.update(run_of({task("a", "SUCCEEDED"), task("b", "RUNNING")}), kNow);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(lines.update(run_of({task("a", "SUCCEEDED"), task("b", "RUNNING")}), kNow), "");
}

}  // namespace
}  // namespace trainyard::apps
