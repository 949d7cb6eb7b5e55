#include "api/platform/job_context.h"

#include <fmt/format.h>

#include <charconv>

namespace trainyard::api {

Result<JobId> parse_job_id(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    return invalid_argument("job.id", fmt::format("a job id is a number from 1: {}", text));
  }
  return JobId(value);
}

void find_job(JobContext context, JobId id, std::function<void(Result<jobs::Job>)> done) {
  context.strand.post([context, id, done = std::move(done)]() mutable {
    context.jobs.get(id, [context, id, done = std::move(done)](Result<jobs::Job> live) {
      if (live.ok() || live.error().id != "job.not_live") return done(std::move(live));
      context.reads.post([context, id, done] {
        const Result<store::JobRecord> record = context.ledger.get(id);
        done(record.ok() ? jobs::decode_job(record->body) : Result<jobs::Job>(record.error()));
      });
    });
  });
}

}  // namespace trainyard::api
