#pragma once
#include <functional>
#include <string>

#include "base/result.h"

namespace trainyard::access {

/// "ty_pat_<id>_<secret>" with 256 random bits.
std::string make_personal_token();

/// The secret in the file at `path`, without its line end; when there is no file, `make`s one and writes it there, durably and with mode
/// 0600. Errors: those of files; PERMISSION_DENIED "auth.token_file_mode" when others may read it; DATA_LOSS "auth.token_file" when it is
/// cut off: it is never replaced by itself.
Result<std::string> load_or_create_token(const std::string& path, const std::function<std::string()>& make);

/// The admin token, made at the first start.
Result<std::string> load_or_create_admin_token(const std::string& path);
/// The key that the tokens of attempts and agents derive from: 64 hex digits.
Result<std::string> load_or_create_installation_key(const std::string& path);

}  // namespace trainyard::access
