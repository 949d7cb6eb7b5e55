#include "apps/server/leading_link.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

/// A server that has nothing any more: it refuses whatever agents bring.
class FencingLink final : public agent::AgentLink {
 public:
  Result<exec::DesiredState> sync(const exec::NodeObservation&, std::uint64_t, Duration) override { return exec::DesiredState(); }
  Result<std::uint64_t> log_end(const RankKey&) override { return fenced(); }
  Result<std::uint64_t> append_log(const RankKey&, std::uint64_t, std::string_view) override { return fenced(); }
  Result<std::uint64_t> events_end(const RankKey&) override { return fenced(); }
  Result<std::uint64_t> append_events(const RankKey&, std::uint64_t, const std::vector<std::string>&) override { return fenced(); }

 private:
  static Error fenced() { return {Category::kAborted, "lease.fenced", "not current", {}, {}}; }
};

TEST(LeadingLink, leader_is_believed_and_one_that_was_replaced_is_not) {
  FencingLink inner;
  bool leads = true;
  LeadingLink link(inner, [&leads] { return leads; });
  EXPECT_EQ(link.append_log({}, 0, "").error().id, "lease.fenced");
  EXPECT_TRUE(link.sync({}, 0, Duration(0)).ok());
  leads = false;
  EXPECT_EQ(link.log_end({}).error().category, Category::kUnavailable);
  EXPECT_EQ(link.append_log({}, 0, "").error().category, Category::kUnavailable);
  EXPECT_EQ(link.events_end({}).error().category, Category::kUnavailable);
  EXPECT_EQ(link.append_events({}, 0, {}).error().category, Category::kUnavailable);
  EXPECT_EQ(link.sync({}, 0, Duration(0)).error().category, Category::kUnavailable);
}

}  // namespace
}  // namespace trainyard::apps
