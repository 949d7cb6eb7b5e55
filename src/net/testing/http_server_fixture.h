#pragma once
#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "net/http_server.h"
#include "net/testing/fake_responder.h"
#include "net/testing/raw_connection.h"

namespace trainyard::net::testing {

/// A handler's end that the test answers later.
class Parked {
 public:
  void put(ResponderPtr responder) {
    const std::lock_guard lock(mutex_);
    responder_ = std::move(responder);
    changed_.notify_all();
  }
  ResponderPtr get() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [this] { return responder_ != nullptr; });
    return std::exchange(responder_, nullptr);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  ResponderPtr responder_;  // guarded by mutex_
};

inline std::string request_text(std::string_view method, std::string_view target, std::string_view fields = {},
                                std::string_view body = {}) {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + std::string(body);
}

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    const Handler echo = [](const Request& request, const ResponderPtr& responder) {
      responder->respond(text_response(200, request.method + " " + request.path + " " + request.body));
    };
    router.add({"GET", "/echo", Permission::kOpen, echo});
    router.add({"POST", "/echo", Permission::kOpen, echo});
    router.add({"POST", "/big", Permission::kOpen,
                [](const Request& request, const ResponderPtr& responder) { responder->respond(text_response(200, request.body)); },
                64u << 20});
    router.add({"POST", "/closed", Permission::kAdmin, echo, 64u << 20});
    router.add({"GET", "/late", Permission::kOpen, [this](const Request&, ResponderPtr responder) { parked.put(std::move(responder)); }});
    router.add({"GET", "/drop", Permission::kOpen, [](const Request&, const ResponderPtr&) {}});
    router.add({"GET", "/throw", Permission::kOpen, [](const Request&, const ResponderPtr&) { throw 1; }});
    router.add({"GET", "/bare", Permission::kOpen, [](const Request&, const ResponderPtr& responder) {
                  responder->respond({404, {}, ""});
                }});
  }

  void start() {
    Result<std::unique_ptr<HttpServer>> made = make_http_server(settings, router);
    ASSERT_TRUE(made.ok()) << made.error().describe();
    server = std::move(made).value();
  }

  /// Opens an event stream and returns the handler's end of it.
  std::shared_ptr<ResponseStream> open_stream(  // shared: as Responder says
      RawConnection& client, std::string_view type = "text/event-stream") {
    client.send(request_text("GET", "/late"));
    Response head{200, {}, ""};
    head.headers.add("Content-Type", std::string(type));
    return parked.get()->stream(head);
  }

  bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::yield();
      pollfd nothing{-1, 0, 0};
      ::poll(&nothing, 1, 10);
    }
    return false;
  }

  Parked parked;
  FakeAuthorizer authorizer{{"someone", "viewer"}};
  Router router{authorizer};
  HttpServerSettings settings;
  std::unique_ptr<HttpServer> server;
};

}  // namespace trainyard::net::testing
