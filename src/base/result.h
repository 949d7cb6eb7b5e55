#pragma once
#include <optional>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace trainyard {

/// A value or the error that prevented it.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  const T& value() const& {
    CHECK(ok(), error_text());
    return std::get<0>(state_);
  }
  T& value() & {
    CHECK(ok(), error_text());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok(), error_text());
    return std::get<0>(std::move(state_));
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  T value_or(T fallback) && { return ok() ? std::get<0>(std::move(state_)) : std::move(fallback); }

  const Error& error() const& {
    CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(std::move(state_));
  }

 private:
  std::string error_text() const { return ok() ? std::string() : std::get<1>(state_).describe(); }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  void value() const { CHECK(ok(), error_ ? error_->describe() : std::string()); }
  const Error& error() const& {
    CHECK(!ok(), "error() of a Result that succeeded");
    return *error_;
  }
  Error&& error() && {
    CHECK(!ok(), "error() of a Result that succeeded");
    return *std::move(error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace trainyard

#define TRAINYARD_CONCAT_INNER(a, b) a##b
#define TRAINYARD_CONCAT(a, b) TRAINYARD_CONCAT_INNER(a, b)

/// Evaluates a Result and returns its error from the enclosing function; the value, if any, is dropped.
#define TRY(...)                                               \
  do {                                                         \
    if (auto try_result_ = (__VA_ARGS__); !try_result_.ok()) { \
      return std::move(try_result_).error();                   \
    }                                                          \
  } while (false)

/// `ASSIGN_OR_RETURN(const Foo foo, make_foo());`
#define ASSIGN_OR_RETURN(lhs, ...) ASSIGN_OR_RETURN_INNER(TRAINYARD_CONCAT(assign_result_, __LINE__), lhs, __VA_ARGS__)
#define ASSIGN_OR_RETURN_INNER(result, lhs, ...)      \
  auto result = (__VA_ARGS__);                        \
  if (!result.ok()) return std::move(result).error(); \
  lhs = std::move(result).value()
