#include <sys/stat.h>

#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kRank;
using testing::processes_of;
using testing::rank_key;
using testing::read_log;
using testing::shell_launch;
using testing::text_of_stream;
using testing::wait_until;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

TEST_F(WardenTest, program_that_ends_leaves_its_code_output_and_events) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, R"(echo out; echo err >&2; echo '{"event":"ready","url":"u"}' >&3; exit 3)")));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_FALSE(exit.stop_requested);
  EXPECT_TRUE(exit.launch_error.empty());

  const auto log = read_log(paths(kRank).log);
  EXPECT_EQ(text_of_stream(log, exec::kStdoutStream), "out\n");
  EXPECT_EQ(text_of_stream(log, exec::kStderrStream), "err\n");
  EXPECT_EQ(read_file(paths(kRank).events).value(), "{\"event\":\"ready\",\"url\":\"u\"}\n");
  const auto record = exec::exit_record_from(read_file(paths(kRank).exit_record).value());
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->exit.code, 3);
  EXPECT_EQ(record->log_size, file_size(paths(kRank).log).value());
  EXPECT_EQ(record->events_size, file_size(paths(kRank).events).value());
}

TEST_F(WardenTest, rank_finds_its_files_and_a_clean_environment) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch = shell_launch(
      kRank,
      "pwd; cat $TRAINYARD_SPEC; stat -c %a $TRAINYARD_TOKEN_FILE; wc -c <$TRAINYARD_TOKEN_FILE; env | cut -d= -f1 | sort | tr '\\n' ' '");
  launch.spec = Document::object({{"kind", "command"}});
  launch.token = "secret-token";
  launch.env = {{"RANK", "0"}};
  launch.resources.milli_cpu = 3500;
  node.send(exec::start_request(launch));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  EXPECT_EQ(stdout_of(kRank),
            data_dir +
                "/work/17/1\n{\"kind\":\"command\"}\n600\n12\n"
                "HOME LANG OMP_NUM_THREADS PATH PWD RANK TMPDIR TRAINYARD_RANK_ID TRAINYARD_SPEC TRAINYARD_TOKEN_FILE TRAINYARD_WORKDIR ");
  EXPECT_EQ(read_file(exec::slots_directory(data_dir) + "/1/token").value().find("secret"), std::string::npos)
      << "the token is of no use after the end";
}

TEST_F(WardenTest, token_in_the_output_is_redacted) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch = shell_launch(kRank, "echo got $(cat $TRAINYARD_TOKEN_FILE) here");
  launch.token = "s3cr3t-s3cr3t";
  node.send(exec::start_request(launch));
  node.wait_for_exit(kRank);
  EXPECT_EQ(stdout_of(kRank), "got [redacted] here\n");
}

TEST_F(WardenTest, second_start_of_a_rank_changes_nothing) {
  WardenConnection& node = start_warden();
  const std::string marks = data_dir + "/marks";
  const exec::RankLaunch launch = shell_launch(kRank, "echo x >>" + marks + "; read line <" + data_dir + "/go");
  ASSERT_EQ(::mkfifo((data_dir + "/go").c_str(), 0600), 0);
  node.send(exec::start_request(launch));
  node.send(exec::start_request(launch));
  ASSERT_TRUE(wait_until([&] { return file_exists(marks); }));
  ASSERT_TRUE(write_all(open_file(data_dir + "/go", O_WRONLY).value().get(), "go\n", "go").ok());
  node.wait_for_exit(kRank);
  node.send(exec::start_request(launch));  // After the end it reports the record.
  node.ask(exec::list_request(7));
  EXPECT_EQ(read_file(marks).value(), "x\n");
  ASSERT_NE(node.exit_of(kRank), nullptr);
}

TEST_F(WardenTest, program_that_does_not_exist_is_a_launch_error_that_names_it) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch = shell_launch(kRank, "");
  launch.argv = {"no-such-program-anywhere"};
  node.send(exec::start_request(launch));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_EQ(exit.code, 127);
  EXPECT_TRUE(exit.launch_error.starts_with("launch.no_program")) << exit.launch_error << "; jobs tells the cause by the id";
  EXPECT_NE(exit.launch_error.find("no-such-program-anywhere"), std::string::npos) << exit.launch_error;
  EXPECT_NE(text_of_stream(read_log(paths(kRank).log), exec::kSystemStream).find("no-such-program-anywhere"), std::string::npos);
}

TEST_F(WardenTest, directory_as_program_and_missing_workdir_are_launch_errors) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch = shell_launch(kRank, "");
  launch.argv = {"/etc/passwd"};
  node.send(exec::start_request(launch));
  EXPECT_NE(node.wait_for_exit(kRank).launch_error.find("launch.exec"), std::string::npos);

  launch = shell_launch(rank_key(18), "true");
  launch.workdir = "/proc/no/such/place";
  node.send(exec::start_request(launch));
  EXPECT_FALSE(node.wait_for_exit(rank_key(18)).launch_error.empty());
}

TEST_F(WardenTest, script_without_interpreter_line_runs_in_the_shell) {
  WardenConnection& node = start_warden();
  ASSERT_TRUE(write_file_atomically(data_dir + "/script", "echo from $1\n", 0700).ok());
  exec::RankLaunch launch = shell_launch(kRank, "");
  launch.argv = {data_dir + "/script", "shell"};
  node.send(exec::start_request(launch));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  EXPECT_EQ(stdout_of(kRank), "from shell\n");
}

TEST_F(WardenTest, stop_asks_the_group_and_records_the_request) {
  WardenConnection& node = start_warden();
  node.send(
      exec::start_request(shell_launch(kRank, "trap 'echo asked; exit 75' TERM; echo up; while :; do read x </dev/zero; done & wait")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  node.send(exec::stop_request(kRank, 30s));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_EQ(exit.code, 75);
  EXPECT_TRUE(exit.stop_requested);
  EXPECT_EQ(stdout_of(kRank), "up\nasked\n");
}

TEST_F(WardenTest, process_that_ignores_the_request_is_killed_after_the_grace) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "trap '' TERM; echo up; while :; do sleep 100; done")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  node.send(exec::stop_request(kRank, 200ms));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_EQ(exit.code, 137);
  EXPECT_TRUE(exit.stop_requested);
  EXPECT_FALSE(exit.oom);
}

TEST_F(WardenTest, repeated_stop_brings_the_kill_forward_and_never_back) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "trap '' TERM; echo up; while :; do sleep 100; done")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  node.send(exec::stop_request(kRank, 1h));
  node.send(exec::stop_request(kRank, 0s));
  node.send(exec::stop_request(kRank, 1h));
  EXPECT_EQ(node.wait_for_exit(kRank, 5s).signal, SIGKILL);
}

TEST_F(WardenTest, stop_before_the_start_is_an_end_that_a_later_start_finds) {
  WardenConnection& node = start_warden();
  node.send(exec::stop_request(kRank, 30s));
  EXPECT_TRUE(node.wait_for_exit(kRank).stop_requested);
  node.send(exec::start_request(shell_launch(kRank, "touch " + data_dir + "/ran")));
  node.ask(exec::list_request(2));
  EXPECT_TRUE(processes_of(kRank, data_dir).empty());
  EXPECT_FALSE(file_exists(data_dir + "/ran"));
}

TEST_F(WardenTest, checkpoint_request_reaches_only_processes_that_handle_it) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "echo up; exec sleep 100")));
  node.send(exec::start_request(
      shell_launch(rank_key(18), "trap 'echo asked; exit 0' USR1; echo up; while :; do read x </dev/zero; done & wait")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  ASSERT_TRUE(node.read_until([&] { return node.rank(rank_key(18)) != nullptr && node.rank(rank_key(18))->log_size > 0; }));
  node.send(exec::checkpoint_request(kRank, 1));
  node.send(exec::checkpoint_request(rank_key(18), 1));
  EXPECT_EQ(node.wait_for_exit(rank_key(18)).code, 0);
  EXPECT_EQ(node.rank(rank_key(18))->checkpoint_number, 1u);
  EXPECT_EQ(node.exit_of(kRank), nullptr) << "a program without a handler must live on";
  EXPECT_EQ(node.rank(kRank)->checkpoint_number, 0u);
}

TEST_F(WardenTest, forgotten_rank_leaves_nothing_behind) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "echo hello; touch $TMPDIR/scratch")));
  node.wait_for_exit(kRank);
  node.send(exec::forget_request(kRank));
  EXPECT_TRUE(node.ask(exec::list_request(9))["ranks"].items().empty());
  EXPECT_FALSE(file_exists(exec::spool_paths(data_dir, kRank).exit_record));
  EXPECT_FALSE(file_exists(data_dir + "/work/17"));
}

TEST_F(WardenTest, running_rank_is_not_forgotten) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "exec sleep 100")));
  ASSERT_TRUE(node.wait_until_running(kRank));
  Document request = exec::forget_request(kRank);
  request.set("id", 5);
  EXPECT_EQ(node.ask(request)["error"]["id"].text(), "warden.still_running");
}

TEST_F(WardenTest, malformed_requests_are_refused_and_the_warden_lives_on) {
  WardenConnection& node = start_warden();
  EXPECT_EQ(node.ask(Document::object({{"type", "dance"}, {"id", 3}, {"rank", exec::to_document(kRank)}}))["error"]["id"].text(),
            "warden.no_rank");
  EXPECT_FALSE(node.ask(Document::object({{"id", 4}}))["error"].is_null());
  EXPECT_FALSE(node.ask(Document::object({{"type", "start"}, {"id", 5}}))["error"].is_null());
  EXPECT_TRUE(exec::warden_hello_from(node.ask(exec::hello_request(6))).ok());
}

TEST_F(WardenTest, hundreds_of_short_ranks_leave_neither_descriptors_nor_zombies) {
  WardenConnection& node = start_warden();
  const auto open_descriptors = [directory = fmt::format("/proc/{}/fd", warden->pid())] {
    return list_directory(directory).value().size();
  };
  const auto run_ranks = [&](std::uint64_t first) {
    for (std::uint64_t job = first; job < first + 200; ++job) {
      exec::RankLaunch launch = shell_launch(rank_key(job), "");
      launch.argv = {"true"};
      node.send(exec::start_request(launch));
    }
    for (std::uint64_t job = first; job < first + 200; ++job) EXPECT_EQ(node.wait_for_exit(rank_key(job)).code, 0);
    for (std::uint64_t job = first; job < first + 200; ++job) node.send(exec::forget_request(rank_key(job)));
    EXPECT_TRUE(node.ask(exec::list_request(3))["ranks"].items().empty());
  };
  // The first ranks leave a bounded number of files open for the next ones.
  run_ranks(1);
  const std::size_t kept = open_descriptors();
  run_ranks(1001);
  run_ranks(2001);
  EXPECT_LE(open_descriptors(), kept + 10);
  for (const exec::ProcessStat& process : exec::list_processes()) EXPECT_NE(process.parent, warden->pid()) << process.pid;
  EXPECT_TRUE(list_directory(data_dir + "/spool").value().empty());
}

TEST_F(WardenTest, resident_memory_stays_below_five_megabytes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "NOT RUN: a sanitizer's own memory would be measured";
#endif
  WardenConnection& node = start_warden();
  for (std::uint64_t job = 1; job <= 20; ++job) node.send(exec::start_request(shell_launch(rank_key(job), "seq 1 1000")));
  for (std::uint64_t job = 1; job <= 20; ++job) node.wait_for_exit(rank_key(job));
  const std::string status = read_file(fmt::format("/proc/{}/status", warden->pid())).value();
  const std::size_t at = status.find("VmRSS:");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::strtol(status.c_str() + at + 6, nullptr, 10), 5 * 1024) << status.substr(at, 120);
}

}  // namespace
}  // namespace trainyard::warden
