#include "apps/cli/completion.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

using Words = std::vector<std::string>;

Words completed(Words words) {
  const LiveNames live = [](Names names) {
    if (names == Names::kJob) return std::vector<Candidate>{{"17", "train RUNNING"}, {"18", "x QUEUED"}};
    if (names == Names::kQueue) return std::vector<Candidate>{{"vision", ""}, {"language", ""}};
    return std::vector<Candidate>();
  };
  const ProgramOptions options = [](const CommandSpec& command) { return std::vector<Candidate>{{"--" + command.program, "it"}}; };
  Words found;
  for (const Candidate& candidate : complete(command_tree(), std::move(words), live, options)) found.push_back(candidate.word);
  return found;
}

TEST(Completion, begun_word_narrows_the_commands) {
  EXPECT_EQ(completed({"tok"}), (Words{"token"}));
  EXPECT_EQ(completed({"job", "re"}), (Words{"retry", "release"}));
  EXPECT_TRUE(completed({"nothing", "like", "it"}).empty());
}

TEST(Completion, live_ids_and_selectors_are_offered) {
  EXPECT_EQ(completed({"job", "get", "1"}), (Words{"17", "18"}));
  EXPECT_EQ(completed({"job", "cancel", "@r"}), (Words{"@running"}));
  EXPECT_EQ(completed({"job", "cancel", "17", "18"}), (Words{"18"})) << "it takes several";
  EXPECT_TRUE(completed({"job", "get", "17", ""}).empty()) << "it takes one";
}

TEST(Completion, value_of_an_option_is_completed_in_both_forms) {
  EXPECT_EQ(completed({"job", "ls", "--queue", "v"}), (Words{"vision"}));
  EXPECT_EQ(completed({"job", "ls", "--queue=v"}), (Words{"--queue=vision"}));
  EXPECT_EQ(completed({"-o", "nd"}), (Words{"ndjson"}));
  EXPECT_EQ(completed({"usage", "--by", "q"}), (Words{"queue"}));
  EXPECT_EQ(completed({"--url", "http://x", "job", "ge"}), (Words{"get"})) << "the value is no command";
}

TEST(Completion, words_that_bash_broke_are_joined) {
  EXPECT_EQ(completed({"job", "ls", "--queue", "=", "v"}), (Words{"vision"}));
  EXPECT_EQ(completed({"job", "ls", "--queue", "="}), (Words{"vision", "language"}));
  EXPECT_EQ(completed({"job", "cancel", "@", "run"}), (Words{"running"}));
  EXPECT_EQ(completed({"job", "ls", "--queue", "=", "vision", "--sta"}), (Words{"--state"}));
}

TEST(Completion, files_are_left_to_the_shell) {
  EXPECT_EQ(completed({"job", "submit", "-f", ""}), (Words{kCompleteFiles}));
  EXPECT_EQ(completed({"workflow", "run", "x"}), (Words{kCompleteFiles}));
}

TEST(Completion, other_program_tells_its_options) {
  EXPECT_EQ(completed({"up", "--"}), (Words{"--trainyard-server"}));
  EXPECT_EQ(completed({"agent", "x"}), (Words{kCompleteFiles}));
}

TEST(Completion, nothing_is_offered_behind_the_dashes_of_a_command) { EXPECT_TRUE(completed({"job", "submit", "--", "--na"}).empty()); }

TEST(Completion, help_completes_commands) { EXPECT_EQ(completed({"help", "wha"}), (Words{"what-if"})); }

TEST(CandidateLines, text_of_others_cannot_break_the_format) {
  EXPECT_EQ(candidate_lines({{"17", "a\nb\tc"}, {"18", ""}}), "17\ta b c\n18\t\n");
}

}  // namespace
}  // namespace trainyard::apps
