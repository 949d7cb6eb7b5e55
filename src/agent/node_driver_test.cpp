// What an agent does with answers that come late, twice, in another order and from another life of the server.
#include "agent/node_driver.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/trust.h"
#include "base/testing/fake_clock.h"

namespace trainyard::agent {
namespace {

using Phase = exec::RankObservation::Phase;

RankKey rank_of(std::uint64_t job) { return {{JobId(job), AttemptNumber(1)}, 0}; }

exec::DesiredState wanted(const std::string& epoch, std::uint64_t version, const std::vector<std::uint64_t>& jobs) {
  exec::DesiredState state{version, {}, epoch};
  for (const std::uint64_t job : jobs) state.ranks.emplace_back().launch.rank = rank_of(job);
  return state;
}

class SilentLog final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

class NoSpool final : public SpoolReader {
 public:
  Result<std::string> read_log(const RankKey&, std::uint64_t, std::size_t) override { return std::string(); }
  Result<std::string> read_events(const RankKey&, std::uint64_t, std::size_t) override { return std::string(); }
  exec::ShippedMark shipped_mark(const RankKey&) override { return {}; }
};

/// A server whose next answer the test writes; while a sync is on its way the test may do something else.
class ScriptedLink final : public AgentLink {
 public:
  exec::DesiredState next;
  std::function<void()> meanwhile;
  std::optional<Error> refusal;
  std::vector<exec::NodeObservation> reports;

  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t, Duration) override {
    reports.push_back(observation);
    if (refusal) return *refusal;
    const exec::DesiredState answer = next;
    if (const std::function<void()> other = std::exchange(meanwhile, nullptr)) other();
    return answer;
  }
  Result<std::uint64_t> log_end(const RankKey&) override { return std::uint64_t{0}; }
  Result<std::uint64_t> append_log(const RankKey&, std::uint64_t, std::string_view) override { return std::uint64_t{0}; }
  Result<std::uint64_t> events_end(const RankKey&) override { return std::uint64_t{0}; }
  Result<std::uint64_t> append_events(const RankKey&, std::uint64_t, const std::vector<std::string>&) override { return std::uint64_t{0}; }
};

class NodeDriverTest : public ::testing::Test {
 protected:
  void SetUp() override { driver.on_warden("boot", {}); }
  /// The server answers like this to the next report.
  void answer(const exec::DesiredState& state) {
    link.next = state;
    ASSERT_TRUE(driver.report().ok());
  }
  void runs(std::uint64_t job) {
    exec::WardenRank running;
    running.observation.rank = rank_of(job);
    running.observation.phase = Phase::kRunning;
    driver.state().update(running);
  }
  /// "start 1", "stop 2" as the warden was told since the last time.
  std::vector<std::string> told() { return std::exchange(requests, {}); }

  trainyard::testing::FakeClock clock;
  SilentLog log;
  NoSpool spool;
  ScriptedLink link;
  std::vector<std::string> requests;
  NodeDriver driver{{NodeName{"here"}, "kernel", {4000, 1 << 30, 0}},
                    {.link = link, .spool = spool, .clock = clock, .log = log, .tell_warden = [this](const Document& request) {
                       const RankKey key =
                           exec::rank_key_from(request.find("launch") ? request["launch"]["rank"] : request["rank"]).value();
                       requests.push_back(request["type"].text() + " " + key.attempt.job.text());
                       return true;
                     }}};
};

using Requests = std::vector<std::string>;

TEST_F(NodeDriverTest, older_answer_of_the_same_server_is_ignored) {
  link.meanwhile = [this] { answer(wanted("life", 8, {1, 2})); };
  link.next = wanted("life", 7, {1});
  ASSERT_TRUE(driver.report().ok());
  EXPECT_EQ(told(), (Requests{"start 1", "start 2"}));
  runs(2);
  link.meanwhile = [this] { answer(wanted("life", 9, {1, 2})); };
  link.next = wanted("life", 7, {1});
  ASSERT_TRUE(driver.report().ok());
  EXPECT_EQ(told(), (Requests{})) << "rank 2 is not killed by an answer from before its launch";
}

TEST_F(NodeDriverTest, next_server_counts_whatever_its_versions_are) {
  answer(wanted("first", 1'000'000, {1}));
  answer(wanted("second", 999'999, {1, 2}));
  answer(wanted("third", 5, {1, 2, 3}));
  EXPECT_EQ(told(), (Requests{"start 1", "start 2", "start 3"}));
}

TEST_F(NodeDriverTest, answer_that_a_dead_server_left_on_the_way_is_ignored) {
  answer(wanted("first", 10, {1}));
  runs(1);
  link.meanwhile = [this] {
    answer(wanted("second", 3, {1, 2}));
    runs(2);
  };
  link.next = wanted("first", 11, {1});
  ASSERT_TRUE(driver.report().ok());
  EXPECT_EQ(told(), (Requests{"start 1", "start 2"})) << "and rank 2 lives";
}

TEST_F(NodeDriverTest, kills_come_before_starts) {
  answer(wanted("life", 1, {1}));
  runs(1);
  told();
  answer(wanted("life", 2, {2}));
  EXPECT_EQ(told(), (Requests{"stop 1", "start 2"}));
}

TEST_F(NodeDriverTest, variables_of_the_node_go_to_ranks_that_do_not_set_them_themselves) {
  std::vector<std::string> given;
  NodeDriver told_more({NodeName{"here"}, "kernel", {}}, {.link = link,
                                                          .spool = spool,
                                                          .clock = clock,
                                                          .log = log,
                                                          .tell_warden =
                                                              [&given](const Document& request) {
                                                                given.push_back(request["launch"]["env"]["TRAINYARD_CA_FILE"].text());
                                                                return true;
                                                              },
                                                          .environment = trust_variables("/etc/yard/ca.pem")});
  told_more.on_warden("boot", {});
  link.next = wanted("life", 1, {1, 2});
  link.next.ranks[1].launch.env["TRAINYARD_CA_FILE"] = "/job/own.pem";
  ASSERT_TRUE(told_more.report().ok());
  EXPECT_EQ(given, (Requests{"/etc/yard/ca.pem", "/job/own.pem"}));
}

TEST_F(NodeDriverTest, ranks_that_were_told_no_url_get_the_one_that_reaches_the_server_now) {
  std::vector<std::string> given;
  std::string url = "https://one.example:8470";
  NodeDriver joined({NodeName{"here"}, "kernel", {}}, {.link = link,
                                                       .spool = spool,
                                                       .clock = clock,
                                                       .log = log,
                                                       .tell_warden =
                                                           [&given](const Document& request) {
                                                             const Document& env = request["launch"]["env"];
                                                             given.push_back(env["TRAINYARD_API_URL"].text());
                                                             given.push_back(env["MLFLOW_TRACKING_URI"].text());
                                                             return true;
                                                           },
                                                       .server_url = [&url] { return url; }});
  joined.on_warden("boot", {});
  link.next = wanted("life", 1, {1});
  ASSERT_TRUE(joined.report().ok());
  url = "https://two.example:8470";
  link.next = wanted("life", 2, {1, 2, 3});
  for (const char* name : {"TRAINYARD_API_URL", "MLFLOW_TRACKING_URI"}) link.next.ranks[2].launch.env[name] = "https://public.example";
  ASSERT_TRUE(joined.report().ok());
  EXPECT_EQ(given, (Requests{"https://one.example:8470", "https://one.example:8470", "https://two.example:8470", "https://two.example:8470",
                             "https://public.example", "https://public.example"}));
}

TEST_F(NodeDriverTest, refusals_and_answers_are_told_and_a_server_that_is_away_is_neither) {
  std::vector<std::string> told;
  NodeDriver watched({NodeName{"here"}, "kernel", {}}, {.link = link,
                                                        .spool = spool,
                                                        .clock = clock,
                                                        .log = log,
                                                        .tell_warden = [](const Document&) { return true; },
                                                        .on_refused = [&told](const Error& error) { told.push_back(error.id); },
                                                        .on_accepted = [&told] { told.push_back("accepted"); }});
  watched.on_warden("boot", {});
  for (const Category category : {Category::kUnavailable, Category::kDeadlineExceeded, Category::kUnauthenticated,
                                  Category::kPermissionDenied, Category::kInvalidArgument, Category::kAborted}) {
    link.refusal = Error{category, std::string(name_of(category)), "", {}, {}};
    EXPECT_FALSE(watched.report().ok());
  }
  link.refusal.reset();
  EXPECT_TRUE(watched.report().ok());
  EXPECT_EQ(told, (Requests{"UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "ABORTED", "accepted"}));
}

TEST(TrustVariables, path_is_absolute_and_no_file_is_no_variable) {
  EXPECT_TRUE(trust_variables("").empty());
  const auto variables = trust_variables("certificates/ca.pem");
  EXPECT_EQ(variables.size(), 2u);
  for (const auto& [name, path] : variables) {
    EXPECT_TRUE(path.starts_with('/') && path.ends_with("/certificates/ca.pem")) << name << "=" << path;
  }
}

TEST_F(NodeDriverTest, reports_are_stamped_in_their_order_also_over_agents) {
  answer(wanted("life", 1, {}));
  answer(wanted("life", 1, {}));
  clock.advance(Duration(10));
  NodeDriver next({NodeName{"here"}, "kernel", {}},
                  {.link = link, .spool = spool, .clock = clock, .log = log, .tell_warden = [](const Document&) { return true; }});
  next.on_warden("boot", {});
  ASSERT_TRUE(next.report().ok());
  ASSERT_EQ(link.reports.size(), 3u);
  EXPECT_LT(link.reports[0].stamp, link.reports[1].stamp);
  EXPECT_LT(link.reports[1].stamp, link.reports[2].stamp);
  EXPECT_EQ(link.reports[2].host_boot, "kernel");
}

}  // namespace
}  // namespace trainyard::agent
