// Output of ranks through a real warden: nothing lost, nothing torn, bounded.
#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kRank;
using testing::rank_key;
using testing::read_log;
using testing::shell_launch;
using testing::text_of_stream;
using testing::wait_until;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

class WardenOutputTest : public WardenTest {};

TEST_F(WardenOutputTest, big_output_arrives_whole_and_in_order) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "seq 1 300000; seq 1 100000 >&2")));
  EXPECT_EQ(node.wait_for_exit(kRank, 60s).code, 0);
  std::string out;
  std::string err;
  for (int line = 1; line <= 300'000; ++line) out += std::to_string(line) + "\n";
  for (int line = 1; line <= 100'000; ++line) err += std::to_string(line) + "\n";
  const auto log = read_log(paths(kRank).log);
  EXPECT_TRUE(text_of_stream(log, exec::kStdoutStream) == out);
  EXPECT_TRUE(text_of_stream(log, exec::kStderrStream) == err);
  // One record a line, but for lines that were shown before their end.
  EXPECT_GE(log.size(), 400'000u);
  EXPECT_LT(log.size(), 401'000u);
}

TEST_F(WardenOutputTest, binary_output_without_newlines_arrives_whole) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "head -c 3000000 /dev/zero")));
  EXPECT_EQ(node.wait_for_exit(kRank, 60s).code, 0);
  EXPECT_TRUE(stdout_of(kRank) == std::string(3'000'000, '\0'));
}

TEST_F(WardenOutputTest, unfinished_line_is_shown_before_its_end) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "printf 'loading...'; exec sleep 100")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  EXPECT_EQ(stdout_of(kRank), "loading...");
}

TEST_F(WardenOutputTest, damaged_events_are_dropped_with_a_note_and_the_others_kept) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(
      kRank, R"(echo '{"event":"a"}' >&3; echo 'not json' >&3; echo '[1]' >&3; head -c 70000 /dev/zero | tr '\0' x >&3; echo >&3; )"
             R"(printf '{"event":"b"}' >&3)")));
  node.wait_for_exit(kRank);
  EXPECT_EQ(read_file(paths(kRank).events).value(), "{\"event\":\"a\"}\n{\"event\":\"b\"}\n");
  const std::string notes = text_of_stream(read_log(paths(kRank).log), exec::kSystemStream);
  EXPECT_NE(notes.find("not json"), std::string::npos);
  EXPECT_NE(notes.find("[1]"), std::string::npos);
  EXPECT_NE(notes.find("longer than 65536 bytes"), std::string::npos);
}

TEST_F(WardenOutputTest, full_spool_holds_the_program_back_until_its_output_was_shipped) {
  WardenConnection& node = start_warden({"--spool-max", "64KiB"});
  node.send(exec::start_request(shell_launch(kRank, "seq 1 200000; echo done")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size >= 64 * 1024; }));
  EXPECT_FALSE(node.read_until([&] { return node.exit_of(kRank) != nullptr; }, 300ms)) << "nothing was shipped: the program waits";
  const std::uint64_t held = file_size(paths(kRank).log).value();
  EXPECT_LT(held, 64u * 1024 * 8);

  std::uint64_t shipped = 0;
  ASSERT_TRUE(node.read_until(
      [&] {
        if (node.rank(kRank)->log_size > shipped) {
          shipped = node.rank(kRank)->log_size;
          node.send(exec::shipped_request(kRank, {.log_size = shipped, .events_size = 0, .event_lines = 0}));
        }
        return node.exit_of(kRank) != nullptr;
      },
      60s));
  EXPECT_EQ(node.exit_of(kRank)->code, 0);
}

TEST_F(WardenOutputTest, full_spool_holds_the_loud_rank_and_leaves_the_others_their_part) {
  WardenConnection& node = start_warden({"--spool-max", "1MiB"});
  const RankKey loud = rank_key(1);
  node.send(exec::start_request(shell_launch(loud, "exec yes a line that never ends")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(loud) != nullptr && node.rank(loud)->observation.output_held; }));
  EXPECT_LT(node.rank(loud)->log_size, 3u << 20);
  for (std::uint64_t job = 2; job <= 4; ++job) node.send(exec::start_request(shell_launch(rank_key(job), "seq 1 1000; exit 3")));
  for (std::uint64_t job = 2; job <= 4; ++job) EXPECT_EQ(node.wait_for_exit(rank_key(job)).code, 3);
  EXPECT_TRUE(node.rank(loud)->observation.output_held);

  const std::uint64_t shipped = node.rank(loud)->log_size;
  node.send(exec::shipped_request(loud, {.log_size = shipped, .events_size = 0, .event_lines = 0}));
  EXPECT_TRUE(node.read_until([&] { return node.rank(loud)->log_size > shipped + (1u << 19); })) << "it goes on";
  node.send(exec::stop_request(loud, 0s));
  node.wait_for_exit(loud);
}

TEST_F(WardenOutputTest, forgotten_ranks_make_room_for_those_that_wait) {
  WardenConnection& node = start_warden({"--spool-max", "256KiB"});
  node.send(exec::start_request(shell_launch(rank_key(1), "head -c 200000 /dev/zero")));
  node.wait_for_exit(rank_key(1));
  node.send(exec::start_request(shell_launch(rank_key(2), "head -c 5000000 /dev/zero; exit 3")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(rank_key(2)) != nullptr && node.rank(rank_key(2))->observation.output_held; }));
  const std::uint64_t held = node.rank(rank_key(2))->log_size;
  node.send(exec::forget_request(rank_key(1)));
  EXPECT_TRUE(node.read_until([&] { return node.rank(rank_key(2))->log_size > held; }));
}

TEST_F(WardenOutputTest, shipped_bytes_are_given_back_to_the_disk) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "head -c 12000000 /dev/zero; echo end; exec sleep 100")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 12'000'000; }));
  const std::uint64_t size = node.rank(kRank)->log_size;
  node.send(exec::shipped_request(kRank, {.log_size = size, .events_size = 0, .event_lines = 0}));
  node.ask(exec::list_request(3));
  EXPECT_EQ(exec::read_shipped_mark(paths(kRank)).log_size, size);
  struct stat info {};
  ASSERT_EQ(::stat(paths(kRank).log.c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), size);
  EXPECT_LT(info.st_blocks * 512, 1'000'000);
}

TEST_F(WardenOutputTest, full_disk_holds_the_program_back_and_loses_nothing) {
  // A file size limit stands for the full disk: appends beyond it fail in the same way.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  WardenConnection& node = start_warden();
  rlimit small{.rlim_cur = 50'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::prlimit(warden->pid(), RLIMIT_FSIZE, &small, nullptr), 0);
  node.send(exec::start_request(shell_launch(kRank, "seq 1 20000")));
  EXPECT_FALSE(node.read_until([&] { return node.exit_of(kRank) != nullptr; }, 500ms));
  ASSERT_EQ(::prlimit(warden->pid(), RLIMIT_FSIZE, &before, nullptr), 0);
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  std::string out;
  for (int line = 1; line <= 20'000; ++line) out += std::to_string(line) + "\n";
  EXPECT_TRUE(stdout_of(kRank) == out);
}

}  // namespace
}  // namespace trainyard::warden
