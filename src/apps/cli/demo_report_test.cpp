#include "apps/cli/demo_report.h"

#include <gtest/gtest.h>

#include "apps/cli/demo_keeper.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

Document parsed(const std::string& text) { return parse_json(text).value(); }

Document page(const std::string& runs) { return parsed(R"({"workflows":[)" + runs + "]}"); }

/// Two seconds of training, one of prediction after a pause of one second, and a gate that failed when `failed`.
Document run_of(bool failed) {
  const std::string gate = failed ? R"("state":"FAILED","reason":"0.5 is below 0.88","output":{})"
                                  : R"("state":"SUCCEEDED","reason":"","output":{"result":{"at_least":0.88}})";
  return parsed(R"({"id":"3","workflow":"w","state":")" + std::string(failed ? "FAILED" : "SUCCEEDED") + R"(","tasks":[
    {"name":"train","state":"SUCCEEDED","reason":"","output":{"job_id":"1","result":{"test_accuracy":0.8972}},
     "started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:02Z"},
    {"name":"gate",)" +
                gate + R"(,"started_at":"2026-01-01T00:00:02Z","ended_at":"2026-01-01T00:00:02Z"},
    {"name":"predict","state":")" +
                (failed ? "UPSTREAM_FAILED" : "SUCCEEDED") + R"(","reason":")" + (failed ? "a task before it did not succeed" : "") +
                R"(","output":{"job_id":"2","ready_url":"http://h:1","result":{"model":"m","accuracy":0.894,"p50_ms":0.163,"p99_ms":0.245,
     "throughput_per_s":5404.2}},"started_at":"2026-01-01T00:00:03Z","ended_at":"2026-01-01T00:00:04Z"}]})");
}

TEST(RunChoice, empty_directory_starts_a_run) { EXPECT_EQ(choose_run(page(""), "w", false).kind, RunChoice::Kind::kStart); }

TEST(RunChoice, unfinished_run_goes_on_and_finished_one_is_shown) {
  const RunChoice unfinished =
      choose_run(page(R"({"id":"2","workflow":"w","state":"RUNNING"},{"id":"1","workflow":"w","state":"FAILED"})"), "w", false);
  EXPECT_EQ(unfinished.kind, RunChoice::Kind::kContinue);
  EXPECT_EQ(unfinished.id, "2");
  const RunChoice finished = choose_run(page(R"({"id":"4","workflow":"w","state":"SUCCEEDED"})"), "w", false);
  EXPECT_EQ(finished.kind, RunChoice::Kind::kShow);
  EXPECT_NE(finished.note.find("--fresh"), std::string::npos);
}

TEST(RunChoice, failed_run_and_fresh_start_a_new_one) {
  EXPECT_EQ(choose_run(page(R"({"id":"4","workflow":"w","state":"FAILED"})"), "w", false).kind, RunChoice::Kind::kStart);
  EXPECT_EQ(choose_run(page(R"({"id":"4","workflow":"w","state":"RUNNING"})"), "w", true).kind, RunChoice::Kind::kStart);
}

TEST(RunChoice, runs_of_other_workflows_do_not_count) {
  EXPECT_EQ(choose_run(page(R"({"id":"4","workflow":"other","state":"RUNNING"})"), "w", false).kind, RunChoice::Kind::kStart);
}

TEST(RunChoice, services_of_earlier_runs_are_found) {
  const Document earlier = run_of(false);
  Document body = Document::object();
  body.set("workflows", Document::array({earlier}));
  EXPECT_EQ(services_of_earlier_runs(body, "w"), std::vector<std::string>{"2"});
  EXPECT_TRUE(services_of_earlier_runs(body, "other").empty());
}

TEST(Summary, holds_steps_with_figures_and_the_accuracy) {
  const Document summary = summary_of(run_of(false), 5.5);
  EXPECT_TRUE(summary["ok"].as_bool().value());
  EXPECT_EQ(summary["seconds"].as_double().value(), 5.5);
  EXPECT_EQ(summary["test_accuracy"].as_double().value(), 0.8972);
  ASSERT_EQ(summary["steps"].items().size(), 3U);
  EXPECT_EQ(summary["steps"].items()[0]["seconds"].as_double().value(), 2.0);
  EXPECT_TRUE(summary["reason"].is_null());
}

TEST(Summary, failed_step_is_the_reason) {
  const Document summary = summary_of(run_of(true), 1);
  EXPECT_FALSE(summary["ok"].as_bool().value());
  EXPECT_EQ(summary["reason"].text(), "gate: 0.5 is below 0.88");
  EXPECT_FALSE(summary["steps"].items()[1]["ok"].as_bool().value());
}

TEST(DemoTable, shows_shares_of_the_whole_and_what_no_step_accounts_for) {
  const std::string text = demo_table(run_of(false), {.seconds = 5, .startup_seconds = 0.25, .whole_run = true});
  EXPECT_NE(text.find("train    SUCCEEDED      2.0    40%"), std::string::npos) << text;
  EXPECT_NE(text.find("(rest)                  2.0    40%  start of the server 0.25 s"), std::string::npos) << text;
  EXPECT_NE(text.find("total    SUCCEEDED      5.0"), std::string::npos) << text;
}

TEST(DemoTable, run_of_an_earlier_demo_has_no_shares) {
  const std::string text = demo_table(run_of(false), {.seconds = 0.1, .startup_seconds = 0, .whole_run = false});
  EXPECT_EQ(text.find('%'), std::string::npos) << text;
  EXPECT_EQ(text.find("(rest)"), std::string::npos);
}

TEST(DemoTable, failed_and_not_started_steps_say_why) {
  const std::string text = demo_table(run_of(true), {.seconds = 5});
  EXPECT_NE(text.find("0.5 is below 0.88"), std::string::npos) << text;
  EXPECT_NE(text.find("UPSTREAM_FAILED        -"), std::string::npos) << text;
}

TEST(DemoTable, headline_has_accuracy_latency_and_throughput) {
  EXPECT_EQ(demo_headline(run_of(false)), "test accuracy 0.8972; predict: accuracy 0.894, p50 0.163 ms, p99 0.245 ms, 5404 images/s");
  EXPECT_EQ(demo_headline(Document::object()), "");
}

TEST(FailedStep, job_of_the_step_or_its_failed_trial_is_found) {
  EXPECT_EQ(failed_step(run_of(true))["name"].text(), "gate");
  EXPECT_TRUE(failed_step(run_of(false)).is_null());
  EXPECT_EQ(failed_job(parsed(R"({"output":{"job_id":"7"}})")), "7");
  EXPECT_EQ(failed_job(parsed(R"({"output":{"result":{"trials":[{"job_id":"1","state":"SUCCEEDED"},{"job_id":"2","state":"FAILED"}]}}})")),
            "2");
  EXPECT_EQ(failed_job(parsed("{}")), "");
}

TEST(LastLines, are_the_last_ones) {
  EXPECT_EQ(last_lines("a\nb\nc\n", 2), "b\nc");
  EXPECT_EQ(last_lines("a\nb", 5), "a\nb");
  EXPECT_EQ(last_lines("", 5), "");
}

TEST(ShellWord, quotes_what_a_shell_would_take_apart) {
  EXPECT_EQ(shell_word("/usr/bin/x-1.0"), "/usr/bin/x-1.0");
  EXPECT_EQ(shell_word("my data"), "'my data'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(WaysOn, commands_name_the_run_the_model_and_end_with_down) {
  WaysOn ways{"/bin/trainyard", {"http://127.0.0.1:8", "/d/to ken"}, "3", "", ""};
  find_served_model(run_of(false), ways);
  const std::string text = commands_to_look_further(ways);
  EXPECT_NE(text.find("curl -s -H \"Authorization: Bearer $(cat '/d/to ken')\" http://h:1/v2/models/m\n"), std::string::npos) << text;
  EXPECT_NE(text.find("mlflow runs list --experiment-id 0"), std::string::npos);
  EXPECT_NE(text.find("/bin/trainyard --url http://127.0.0.1:8 --token-file '/d/to ken' workflow get 3\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with(" down\n"));
}

TEST(DataDirectory, absent_empty_and_own_ones_are_usable_foreign_ones_are_not) {
  const std::string directory = make_temporary_directory("trainyard-demo-directory-").value();
  EXPECT_TRUE(is_usable_data_directory(directory + "/absent").value());
  EXPECT_TRUE(is_usable_data_directory(directory).value());
  ASSERT_TRUE(write_file_atomically(directory + "/server.log", "").ok());
  EXPECT_TRUE(is_usable_data_directory(directory).value());
  ASSERT_TRUE(write_file_atomically(directory + "/letter.txt", "").ok());
  EXPECT_FALSE(is_usable_data_directory(directory).value());
  ASSERT_TRUE(write_file_atomically(directory + "/ledger.db", "").ok());
  EXPECT_TRUE(is_usable_data_directory(directory).value());
  EXPECT_FALSE(is_usable_data_directory(directory + "/letter.txt").ok());
  EXPECT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::apps
