#pragma once
#include "adapters/agent_pool/agent_pool.h"
#include "jobs/attempt_sink.h"
#include "jobs/job_service.h"

namespace trainyard::apps {

/// Takes the event lines of ranks: metrics go to tracking, then everything goes to the job. The count is durable last, so a line that was
/// not counted is sent again, and tracking replaces equal points. Lives on the strand; tracking is written on `writes`.
class JobEvents final : public adapters::agent_pool::EventSink {
 public:
  struct Deps {
    Executor& strand;
    Executor& writes;
    jobs::JobService& jobs;
    jobs::AttemptSink* tracking;  ///< May be null: metrics stay on the job.
  };

  explicit JobEvents(Deps deps) : deps_(deps) {}

  void append(const RankKey& rank, std::uint64_t first, std::vector<std::string> lines,
              std::function<void(Result<std::uint64_t>)> done) override;
  /// Errors: also UNAVAILABLE "events.unsettled" while what would refuse the rank is not durable yet: whoever is refused drops its output.
  Result<std::uint64_t> taken(const RankKey& rank) override;

 private:
  Deps deps_;
};

}  // namespace trainyard::apps
