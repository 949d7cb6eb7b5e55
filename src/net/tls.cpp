#include "net/internal/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "net/origin.h"

namespace trainyard::net::internal {
namespace {

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason was given";
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? "error " + std::to_string(code) : reason;
}

Error bad_certificate(std::string_view what, const std::string& file) {
  return invalid_argument(
      "net.certificate",
      "The " + std::string(what) + " cannot be used; it must be a PEM file that this user may read: " + file + ": " + last_error());
}

Result<SSL_CTX*> make_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SSL_CTX* const context = SSL_CTX_new(method);
  if (context == nullptr) return internal_error("net.tls", "TLS cannot be set up: " + last_error());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // Nobody resumes: a resumed session would outlive the certificate it began with.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<TlsContextPtr> TlsContext::for_server(const std::string& certificate_file, const std::string& key_file) {
  ASSIGN_OR_RETURN(SSL_CTX* const raw, make_context(TLS_server_method()));
  auto context = std::make_shared<const TlsContext>(raw);
  if (SSL_CTX_use_certificate_chain_file(raw, certificate_file.c_str()) != 1) return bad_certificate("certificate", certificate_file);
  if (SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1) return bad_certificate("key", key_file);
  if (SSL_CTX_check_private_key(raw) != 1) return bad_certificate("key, which does not belong to the certificate,", key_file);
  return TlsContextPtr(std::move(context));
}

Result<TlsContextPtr> TlsContext::for_client(const std::string& ca_file) {
  ASSIGN_OR_RETURN(SSL_CTX* const raw, make_context(TLS_client_method()));
  auto context = std::make_shared<const TlsContext>(raw);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(raw);
  } else if (SSL_CTX_load_verify_file(raw, ca_file.c_str()) != 1) {
    return bad_certificate("file of trusted certificates", ca_file);
  } else {
    // The file may hold the certificate of the server alone, without who signed it.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_PARTIAL_CHAIN);
  }
  return TlsContextPtr(std::move(context));
}

TlsSession::TlsSession(TlsContextPtr context) : context_(std::move(context)) { make(true); }

TlsSession::TlsSession(TlsContextPtr context, const std::string& host) : context_(std::move(context)) {
  make(false);
  if (is_ip_literal(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session_), host.c_str());
  } else {
    SSL_set1_host(session_, host.c_str());
    // What SSL_set_tlsext_host_name stands for, without its cast.
    SSL_ctrl(session_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
  }
}

TlsSession::~TlsSession() { SSL_free(session_); }

void TlsSession::make(bool server) {
  session_ = SSL_new(context_->get());
  CHECK(session_ != nullptr, "no memory for a TLS session");
  SSL_set_bio(session_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  server ? SSL_set_accept_state(session_) : SSL_set_connect_state(session_);
}

bool TlsSession::established() const { return SSL_is_init_finished(session_) == 1; }

TlsSession::State TlsSession::fail(int result) {
  switch (SSL_get_error(session_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return State::kOpen;
    case SSL_ERROR_ZERO_RETURN:
      return State::kEnded;
    default:
      break;
  }
  const long verified = SSL_get_verify_result(session_);
  failure_ = verified == X509_V_OK ? last_error() : X509_verify_cert_error_string(verified);
  ERR_clear_error();
  return State::kFailed;
}

TlsSession::State TlsSession::receive(std::string_view wire, std::string* plain) {
  if (!failure_.empty()) return State::kFailed;
  ERR_clear_error();
  if (!wire.empty()) BIO_write(SSL_get_rbio(session_), wire.data(), static_cast<int>(wire.size()));
  if (!established()) {
    const int result = SSL_do_handshake(session_);
    if (result != 1) return fail(result);
  }
  if (plain == nullptr) return State::kOpen;
  std::array<char, 16'384> buffer;
  while (true) {
    std::size_t count = 0;
    const int result = SSL_read_ex(session_, buffer.data(), buffer.size(), &count);
    if (result != 1) return fail(result);
    plain->append(buffer.data(), count);
  }
}

bool TlsSession::send(std::string_view plain) {
  ERR_clear_error();
  while (!plain.empty()) {
    std::size_t count = 0;
    const int result = SSL_write_ex(session_, plain.data(), plain.size(), &count);
    if (result != 1) {
      fail(result);
      return false;
    }
    plain.remove_prefix(count);
  }
  return true;
}

void TlsSession::close() {
  if (!failure_.empty() || !established()) return;
  SSL_shutdown(session_);
  ERR_clear_error();
}

std::size_t TlsSession::output_size() const { return BIO_ctrl_pending(SSL_get_wbio(session_)); }

std::string TlsSession::take_output() {
  std::string output(output_size(), '\0');
  if (!output.empty()) BIO_read(SSL_get_wbio(session_), output.data(), static_cast<int>(output.size()));
  return output;
}

}  // namespace trainyard::net::internal
