#pragma once
#include <functional>
#include <string>

#include "jobs/attempt_builder.h"

namespace trainyard::apps {

/// Writes the runner contract (docs/formats/runner.md) for an attempt: command line, environment, spec file and token.
class JobBuilder final : public jobs::AttemptBuilder {
 public:
  struct Settings {
    std::string api_url;              ///< Where ranks reach the server.
    bool api_url_is_public = true;    ///< From every node. Else the agent of a node tells its ranks by which URL it reaches the server.
    std::string object_root;          ///< Objects are files OBJECT_ROOT/BUCKET/KEY on this host.
    std::string checkpoint_root;      ///< A job's checkpoints lie in CHECKPOINT_ROOT/JOB.
    bool kubernetes_preview = false;  ///< Rank 0 is told what Kubernetes would be given, and shows it.
  };
  using TokenIssuer = std::function<std::string(const jobs::Job&)>;  ///< Of the job's present attempt.

  JobBuilder(Settings settings, TokenIssuer issue_token) : settings_(std::move(settings)), issue_token_(std::move(issue_token)) {}

  exec::GangLaunch build(const jobs::Job& job) override;

 private:
  exec::RankLaunch build_rank(const jobs::Job& job, const std::string& token, std::uint32_t rank) const;
  Document spec_document(const jobs::Job& job) const;

  Settings settings_;
  TokenIssuer issue_token_;
};

}  // namespace trainyard::apps
