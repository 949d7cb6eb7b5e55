#include "api/platform/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Ids = std::vector<std::string>;

class EventRoutesTest : public testing::PlatformWorld {
 protected:
  EventRoutesTest() { add_event_routes(router, context()); }
  ~EventRoutesTest() override {
    for (const auto& stream : open_streams) stream->hang_up();
    settle();
  }

  net::testing::FakeStreamPtr open(std::string_view target, const std::string& last_event_id = {}) {
    open_streams.push_back(follow(target, last_event_id));
    return open_streams.back();
  }
  Ids seen(const net::testing::FakeStreamPtr& stream) { return testing::ids_of(stream->body()); }
  static std::string types(const Document& page) {
    std::string text;
    for (const Document& event : page["events"].items()) text += event["number"].text() + event["type"].text() + " ";
    return text;
  }

  std::vector<net::testing::FakeStreamPtr> open_streams;
};

TEST_F(EventRoutesTest, page_lists_the_events_after_a_number) {
  submit();
  submit();
  EXPECT_EQ(types(json("GET", "/api/v1/events")), "1submitted 2launching 3submitted 4launching ");
  EXPECT_EQ(types(json("GET", "/api/v1/events?after=2")), "3submitted 4launching ");
  EXPECT_EQ(types(json("GET", "/api/v1/jobs/2/events")), "3submitted 4launching ");
  EXPECT_EQ(types(json("GET", "/api/v1/jobs/2/events?after=3")), "4launching ");
  EXPECT_EQ(types(json("GET", "/api/v1/events?after=99")), "");
  const Document event = json("GET", "/api/v1/events?after=3")["events"].items().at(0);
  EXPECT_EQ(event["job"].text(), "2");
  EXPECT_EQ(event["values"]["attempt"].as_int().value(), 1);
}

TEST_F(EventRoutesTest, types_narrow_a_page_and_say_how_far_it_looked) {
  const JobId id = submit();
  submit();
  runs(rank(id, 1));
  exits(rank(id, 1), jobs::testing::exit_with(0));
  EXPECT_EQ(types(json("GET", "/api/v1/events?type=submitted")), "1submitted 3submitted ");
  EXPECT_EQ(types(json("GET", "/api/v1/jobs/1/events?type=running,succeeded")), "5running 6succeeded ");
  const Document first = json("GET", "/api/v1/events?type=submitted&limit=1");
  EXPECT_EQ(types(first), "1submitted ");
  EXPECT_EQ(types(json("GET", "/api/v1/events?type=submitted&limit=1&after=" + first["looked_at"].text())), "3submitted ");
  const Document none = json("GET", "/api/v1/events?type=nothing");
  EXPECT_EQ(types(none), "");
  EXPECT_EQ(none["looked_at"].text(), "6");
}

TEST_F(EventRoutesTest, types_narrow_a_stream) {
  const JobId id = submit();
  const auto stream = open("/api/v1/events?type=launching,succeeded");
  settle();
  EXPECT_EQ(seen(stream), (Ids{"2"}));
  runs(rank(id, 1));
  exits(rank(id, 1), jobs::testing::exit_with(0));
  EXPECT_EQ(seen(stream), (Ids{"2", "4"}));
}

TEST_F(EventRoutesTest, stream_begins_with_what_happened_and_goes_on_with_what_happens) {
  const JobId id = submit();
  const auto stream = open("/api/v1/events");
  settle();
  EXPECT_EQ(seen(stream), (Ids{"1", "2"}));
  runs(rank(id, 1));
  exits(rank(id, 1), jobs::testing::exit_with(0));
  EXPECT_EQ(seen(stream), (Ids{"1", "2", "3", "4"}));
  EXPECT_THAT(stream->body(), HasSubstr("id: 4\nevent: succeeded\ndata: {"));
}

TEST_F(EventRoutesTest, stream_resumes_after_the_last_event_seen) {
  const JobId id = submit();
  runs(rank(id, 1));
  EXPECT_EQ(seen(open("/api/v1/events", "2")), (Ids{"3"}));
  EXPECT_EQ(seen(open("/api/v1/events?after=1")), (Ids{"2", "3"}));
  EXPECT_EQ(seen(open("/api/v1/events?after=1", "2")), (Ids{"3"})) << "the header is what the browser remembers";
  EXPECT_EQ(seen(open("/api/v1/events", "3")), (Ids{}));
}

TEST_F(EventRoutesTest, stream_behind_the_latest_shows_only_what_happens_from_now_on) {
  const JobId id = submit();
  submit();
  const Document page = json("GET", "/api/v1/events?after=latest");
  EXPECT_EQ(types(page), "");
  EXPECT_EQ(page["newest"].text(), "4");
  const auto all = open("/api/v1/events?after=latest");
  const auto of_job = open("/api/v1/jobs/2/events?after=latest");
  runs(rank(id, 1));
  EXPECT_EQ(seen(all), (Ids{"5"}));
  EXPECT_EQ(seen(of_job), (Ids{}));
  EXPECT_EQ(call("GET", "/api/v1/events?after=newest").status, 400);
}

TEST_F(EventRoutesTest, stream_of_a_job_shows_no_other) {
  const JobId first = submit();
  const JobId second = submit();
  const auto stream = open("/api/v1/jobs/2/events");
  runs(rank(first, 1));
  runs(rank(second, 1));
  EXPECT_EQ(seen(stream), (Ids{"3", "4", "6"}));
}

TEST_F(EventRoutesTest, event_that_falls_between_the_page_and_the_stream_is_sent_once_and_in_order) {
  const JobId id = submit();
  const auto answer = net::testing::start_call(router, request("GET", "/api/v1/events", {}, {{"Accept", "text/event-stream"}}));
  strand.run_ready();  // Subscribed; the ledger is not read yet.
  runs(rank(id, 1));
  reads.run_ready();                                // The page already holds it.
  exits(rank(id, 1), jobs::testing::exit_with(0));  // This one it does not.
  settle();
  open_streams.push_back(answer->stream());
  EXPECT_EQ(seen(answer->stream()), (Ids{"1", "2", "3", "4"}));
}

/// Lets something happen between the reading of a page and its use.
class InterruptedLedger final : public store::JobLedger {
 public:
  explicit InterruptedLedger(store::JobLedger& inner) : inner_(inner) {}
  std::function<void()> after_events;

  Result<store::LedgerRecovery> recover() override { return inner_.recover(); }
  void commit(store::LedgerBatch batch, Committed done) override { inner_.commit(std::move(batch), std::move(done)); }
  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override { return inner_.list(before, limit); }
  Result<store::JobRecord> get(JobId id) override { return inner_.get(id); }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    Result<std::vector<store::EventRecord>> page = inner_.events(after, job, limit);
    std::exchange(after_events, [] {})();
    return page;
  }

 private:
  store::JobLedger& inner_;
};

TEST_F(EventRoutesTest, event_that_happens_after_its_page_was_read_is_not_lost) {
  const JobId id = submit();
  InterruptedLedger slow(ledger);
  slow.after_events = [this, id] { runs(rank(id, 1)); };
  net::Router other{authorizer};
  add_event_routes(other, {strand, reads, clock, *service, slow, resolver});
  const auto answer = net::testing::start_call(other, request("GET", "/api/v1/events", {}, {{"Accept", "text/event-stream"}}));
  settle();
  open_streams.push_back(answer->stream());
  EXPECT_EQ(seen(answer->stream()), (Ids{"1", "2", "3"}));
}

TEST_F(EventRoutesTest, long_history_is_sent_whole_over_several_pages) {
  // Cancelled while queued behind a full cluster: cheap events, more than one page of them.
  const JobId blocker = submit(submission(4, 2));
  for (int i = 0; i < 600; ++i) {
    const JobId id = submit(submission(4, 2));
    ASSERT_TRUE(stop(id).ok());
  }
  const auto stream = open("/api/v1/events");
  const Ids ids = seen(stream);
  ASSERT_EQ(ids.size(), published.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], std::to_string(i + 1));
  EXPECT_GT(ids.size(), 1'000u);
  runs(rank(blocker, 1, 0));
  runs(rank(blocker, 1, 1));
  EXPECT_EQ(seen(stream).size(), published.size());
}

TEST_F(EventRoutesTest, client_that_does_not_read_is_let_go) {
  const JobId id = submit();
  const auto stream = open("/api/v1/events");
  stream->stall();
  runs(rank(id, 1));
  settle();
  EXPECT_FALSE(stream->open());
  const auto other = open("/api/v1/events", "3");
  exits(rank(id, 1), jobs::testing::exit_with(0));
  EXPECT_EQ(seen(stream), (Ids{"1", "2"}));
  EXPECT_EQ(seen(other), (Ids{"4"})) << "the others go on";
}

TEST_F(EventRoutesTest, client_that_left_is_forgotten) {
  const JobId id = submit();
  const auto stream = open("/api/v1/events");
  const std::weak_ptr<net::testing::FakeStream> watched = stream;  // shared: looks whether anybody still holds it
  stream->hang_up();
  settle();
  runs(rank(id, 1));
  open_streams.clear();
  EXPECT_EQ(stream.use_count(), 1) << "the handler still holds the stream";
}

TEST_F(EventRoutesTest, place_that_is_no_number_is_refused) {
  for (const char* id : {"x", "-1", "1x", "1.5"}) {
    const net::Response response = call("GET", "/api/v1/events", {}, {{"Last-Event-ID", id}, {"Accept", "text/event-stream"}});
    EXPECT_EQ(response.status, 400) << id;
    EXPECT_EQ(parse_json(response.body).value()["code"].text(), "events.after");
  }
  EXPECT_EQ(call("GET", "/api/v1/events?after=x").status, 400);
  EXPECT_EQ(call("GET", "/api/v1/jobs/x/events").status, 400);
}

TEST_F(EventRoutesTest, stream_number_257_is_answered_503_until_one_ends) {
  for (int i = 0; i < 256; ++i) open("/api/v1/events");
  const auto refused = call("GET", "/api/v1/events", {}, {{"Accept", "text/event-stream"}});
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.get("retry-after"), "1");
  open_streams.front()->hang_up();
  open("/api/v1/events");
}

TEST_F(EventRoutesTest, viewer_of_one_namespace_sees_the_events_of_its_jobs_only) {
  submit();
  authorizer.principal = {.name = "bob", .role = "agent", .grants = {{"default", "viewer"}}};
  EXPECT_EQ(call("GET", "/api/v1/jobs/1/events").status, 200);
  EXPECT_EQ(call("GET", "/api/v1/jobs/2/events").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/events").status, 403);
}

TEST_F(EventRoutesTest, events_are_for_viewers) {
  submit();
  EXPECT_EQ(statuses("GET", "/api/v1/events"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/jobs/1/events"), "401 200 200 200 200");
  EXPECT_EQ(router.routes().size(), 2u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
