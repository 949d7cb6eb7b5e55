#pragma once
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "apps/cli/testing/cli_run.h"
#include "apps/cli/testing/fake_platform.h"

namespace trainyard::apps::testing {

/// Runs the command line against a server that answers as it is told and writes down what it was asked.
class CliOverFakePlatform : public ::testing::Test {
 protected:
  CliRun cli(std::vector<std::string> words) {
    if (url_.empty()) url_ = platform_.start();
    words.insert(words.begin(), {"--url", url_});
    return run_words(std::move(words));
  }
  std::string body(std::size_t request) const { return platform_.asked().at(request).body; }

  FakePlatform platform_;
  std::string url_;
};

}  // namespace trainyard::apps::testing
