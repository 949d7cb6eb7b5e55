// Ranks of gangs on several nodes: made ready by one request, started by another.
#include <netinet/in.h>

#include "apps/warden/launch_slots.h"
#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kRank;
using testing::rank_key;
using testing::shell_launch;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

using Phase = exec::RankObservation::Phase;

bool can_listen_at(std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons(port);
  const void* raw = &address;
  return ::bind(socket.get(), static_cast<const sockaddr*>(raw), sizeof address) == 0 && ::listen(socket.get(), 1) == 0;
}

class WardenPrepareTest : public WardenTest {
 protected:
  WardenConnection& prepare(const exec::RankLaunch& launch) {
    WardenConnection& node = connection ? *connection : start_warden();
    node.send(exec::prepare_request(launch));
    EXPECT_TRUE(node.wait_until_running(launch.rank));
    return node;
  }
  exec::RankObservation seen(const RankKey& rank) const { return connection->rank(rank)->observation; }
};

TEST_F(WardenPrepareTest, prepared_rank_waits_with_a_port_that_nobody_else_gets) {
  prepare(shell_launch(kRank, "touch " + data_dir + "/ran"));
  EXPECT_EQ(seen(kRank).phase, Phase::kPrepared);
  ASSERT_NE(seen(kRank).port, 0);
  EXPECT_FALSE(can_listen_at(seen(kRank).port));
  EXPECT_FALSE(file_exists(data_dir + "/ran"));
  EXPECT_TRUE(LaunchSlots::open(exec::slots_directory(data_dir)).value().started().empty()) << "it has not started";
}

TEST_F(WardenPrepareTest, start_runs_a_prepared_rank_with_the_launch_that_comes_with_it_and_frees_its_port) {
  exec::RankLaunch launch = shell_launch(kRank, "echo $MASTER_ADDR; read line <" + data_dir + "/go");
  ASSERT_EQ(::mkfifo((data_dir + "/go").c_str(), 0600), 0);
  WardenConnection& node = prepare(launch);
  const std::uint16_t port = seen(kRank).port;
  launch.env["MASTER_ADDR"] = "10.0.0.7";
  node.send(exec::start_request(launch));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank)->log_size > 0; }));
  EXPECT_EQ(seen(kRank).phase, Phase::kRunning);
  EXPECT_EQ(seen(kRank).port, port) << "a server that starts anew asks for it";
  EXPECT_TRUE(can_listen_at(port));
  ASSERT_TRUE(write_all(open_file(data_dir + "/go", O_WRONLY).value().get(), "go\n", "go").ok());
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  EXPECT_EQ(stdout_of(kRank), "10.0.0.7\n");
}

TEST_F(WardenPrepareTest, only_the_first_rank_has_a_port_and_each_gang_its_own) {
  prepare(shell_launch(rank_key(1, 1, 0), "true"));
  prepare(shell_launch(rank_key(1, 1, 1), "true"));
  prepare(shell_launch(rank_key(2, 1, 0), "true"));
  EXPECT_EQ(seen(rank_key(1, 1, 1)).port, 0);
  EXPECT_NE(seen(rank_key(1, 1, 0)).port, seen(rank_key(2, 1, 0)).port);
}

TEST_F(WardenPrepareTest, program_that_is_missing_or_cannot_be_executed_is_found_out_before_the_start) {
  exec::RankLaunch launch = shell_launch(kRank, "");
  launch.argv = {"no-such-program-anywhere"};
  WardenConnection& node = prepare(launch);
  EXPECT_TRUE(node.wait_for_exit(kRank).launch_error.starts_with("launch.no_program")) << node.exit_of(kRank)->launch_error;
  launch = shell_launch(rank_key(18), "");
  launch.argv = {"/etc/passwd"};
  prepare(launch);
  EXPECT_TRUE(node.wait_for_exit(rank_key(18)).launch_error.starts_with("launch.exec")) << node.exit_of(rank_key(18))->launch_error;
}

TEST_F(WardenPrepareTest, prepared_rank_that_is_stopped_never_runs) {
  WardenConnection& node = prepare(shell_launch(kRank, "touch " + data_dir + "/ran"));
  const std::uint16_t port = seen(kRank).port;
  node.send(exec::checkpoint_request(kRank, 1));
  node.send(exec::stop_request(kRank, 30s));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_TRUE(exit.stop_requested);
  EXPECT_FALSE(exit.launch_error.empty());
  EXPECT_TRUE(can_listen_at(port));
  node.send(exec::start_request(shell_launch(kRank, "touch " + data_dir + "/ran")));
  node.send(exec::forget_request(kRank));
  EXPECT_TRUE(node.ask(exec::list_request(3))["ranks"].items().empty());
  EXPECT_FALSE(file_exists(data_dir + "/ran"));
  EXPECT_FALSE(file_exists(paths(kRank).exit_record));
}

TEST_F(WardenPrepareTest, second_request_changes_nothing) {
  WardenConnection& node = prepare(shell_launch(kRank, "exec sleep 1000"));
  const std::uint16_t port = seen(kRank).port;
  node.send(exec::prepare_request(shell_launch(kRank, "exec sleep 1000")));
  node.ask(exec::list_request(3));
  EXPECT_EQ(seen(kRank).port, port);
  node.send(exec::start_request(shell_launch(kRank, "exec sleep 1000")));
  ASSERT_TRUE(node.read_until([&] { return seen(kRank).phase == Phase::kRunning; }));
  node.send(exec::prepare_request(shell_launch(kRank, "exec sleep 1000")));
  node.ask(exec::list_request(4));
  EXPECT_EQ(seen(kRank).phase, Phase::kRunning);
}

TEST_F(WardenPrepareTest, next_warden_knows_nothing_of_a_rank_that_was_only_prepared) {
  exec::RankLaunch launch = shell_launch(kRank, "true");
  launch.token = "secret";
  prepare(launch);
  ASSERT_TRUE(file_exists(exec::slots_directory(data_dir) + "/1/token"));
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  WardenConnection& second = start_warden();
  EXPECT_TRUE(second.ask(exec::list_request(3))["ranks"].items().empty());
  EXPECT_FALSE(file_exists(exec::slots_directory(data_dir) + "/1/token")) << "nor is its token left behind";
  EXPECT_FALSE(file_exists(data_dir + "/work/17"));
}

TEST_F(WardenPrepareTest, leaving_warden_ends_prepared_ranks) {
  WardenConnection& node = prepare(shell_launch(kRank, "true"));
  node.ask(exec::shutdown_request(8, 10s));
  EXPECT_TRUE(node.closed_by_warden());
  EXPECT_TRUE(node.exit_of(kRank)->stop_requested);
}

}  // namespace
}  // namespace trainyard::warden
