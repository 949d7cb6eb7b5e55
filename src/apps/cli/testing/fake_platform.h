#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/document.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::apps::testing {

/// A server on a loopback port that answers with what the test gave it, and remembers what it was asked. Answers of one route come in
/// order; the last one stays. Thread-safe.
class FakePlatform {
 public:
  struct Asked {
    std::string line;  ///< "POST /api/v1/jobs?dry_run=1"
    std::string body;
    net::Headers headers;
  };
  using Answer = std::function<void(const net::Request& request, const net::ResponderPtr& responder)>;

  FakePlatform() : router_(authorizer_) {}
  FakePlatform(const FakePlatform&) = delete;
  FakePlatform& operator=(const FakePlatform&) = delete;

  void answer(const std::string& method, const std::string& pattern, Answer give) {
    const std::lock_guard lock(mutex_);
    std::deque<Answer>& answers = answers_[method + " " + pattern];
    const bool is_new = answers.empty();
    answers.push_back(std::move(give));
    if (!is_new) return;
    router_.add(
        {method, pattern, net::Permission::kViewer,
         [this, key = method + " " + pattern](net::Request request, net::ResponderPtr responder) { serve(key, request, responder); },
         std::size_t{1} << 20});
  }
  void answer(const std::string& method, const std::string& pattern, std::string_view json, int status = 200) {
    answer(method, pattern, [body = std::string(json), status](const net::Request&, const net::ResponderPtr& responder) {
      responder->respond(net::json_response(status, parse_json(body).value()));
    });
  }
  /// Problem details, as the real server writes them.
  void refuse(const std::string& method, const std::string& pattern, const Error& error) {
    answer(method, pattern, [error](const net::Request& request, const net::ResponderPtr& responder) {
      responder->respond(net::problem_response(error, request.request_id));
    });
  }

  /// After the last route.
  const std::string& start() {
    Result<std::unique_ptr<net::HttpServer>> server = net::make_http_server({}, router_);
    CHECK(server.ok(), "a loopback port is free");
    server_ = std::move(server).value();
    url_ = "http://127.0.0.1:" + std::to_string(server_->port());
    return url_;
  }

  std::vector<Asked> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const Asked& one : asked()) lines.push_back(one.line);
    return lines;
  }

 private:
  void serve(const std::string& key, const net::Request& request, const net::ResponderPtr& responder) {
    Answer give;
    {
      const std::lock_guard lock(mutex_);
      std::string line = request.method + " " + request.path;
      char sign = '?';
      for (const auto& [name, value] : request.query) line += std::exchange(sign, '&') + name + "=" + value;
      asked_.push_back({std::move(line), request.body, request.headers});
      std::deque<Answer>& answers = answers_[key];
      give = answers.front();
      if (answers.size() > 1) answers.pop_front();
    }
    give(request, responder);
  }

  net::testing::FakeAuthorizer authorizer_;
  net::Router router_;
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<Answer>> answers_;  // guarded by mutex_
  std::vector<Asked> asked_;                           // guarded by mutex_
  std::string url_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace trainyard::apps::testing
