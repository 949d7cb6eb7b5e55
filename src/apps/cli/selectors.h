#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "client/api_client.h"

namespace trainyard::apps {

/// One part of a job selector.
struct JobSelector {
  enum class Kind {
    kLast,     ///< "last": the job submitted last.
    kStates,   ///< "@running", "@queued", "@failed", "@live": every job in such a state.
    kRange,    ///< "7", "1-5": ids, both ends included.
    kElements  ///< "17[3]", "17[0-9]": elements of an array by index.
  };
  Kind kind = Kind::kLast;
  std::vector<std::string> states;
  std::uint64_t array = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  bool operator==(const JobSelector&) const = default;
};

/// "last", "@running", "1-5", "1,3,7", "17[3]" and lists of them. A range holds at most 10,000 ids. Errors: INVALID_ARGUMENT "cli.selector"
/// with what is understood.
Result<std::vector<JobSelector>> parse_job_selector(std::string_view text);

/// The states that "@running" and the like stand for; empty for an unknown word.
std::vector<std::string> states_of(std::string_view word);
/// "@running" and the like.
const std::vector<std::string>& state_selectors();

/// The ids that the words select, in their order and each once; with `labels` ("key=value") those jobs that carry all of them, or every one
/// that does when there are no words. Errors: those of the server, NOT_FOUND "job.unknown" for `last` without a job, "job.none_selected",
/// "job.no_array" and "job.unknown_element" for elements that cannot be; FAILED_PRECONDITION "job.element_not_made" when one of them is no
/// job yet.
Result<std::vector<std::string>> resolve_jobs(client::ApiClient& api, const std::vector<std::string>& words,
                                              const std::vector<std::string>& labels);
/// The id of a single job. Errors: also INVALID_ARGUMENT "cli.one_job" when several are selected.
Result<std::string> resolve_job(client::ApiClient& api, const std::string& selector);

}  // namespace trainyard::apps
