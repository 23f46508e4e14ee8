#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/status.h"
#include "client/stream.h"
#include "client/text.h"

namespace fleet::client {
namespace {

std::string LastError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return errno != 0 ? std::strerror(errno) : "connection closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : Cat("error ", code);
}

class TlsStream final : public Stream {
 public:
  TlsStream(int fd, SSL_CTX* context, SSL* ssl) : fd_(fd), context_(context), ssl_(ssl) {}
  ~TlsStream() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(fd_);
  }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  absl::Status Handshake(absl::Time deadline) {
    for (;;) {
      const int n = SSL_connect(ssl_);
      if (n == 1) return absl::OkStatus();
      const long verified = SSL_get_verify_result(ssl_);
      if (verified != X509_V_OK) {
        return absl::UnavailableError(
            Cat("the server's certificate is refused: ", X509_verify_cert_error_string(verified),
                "; is --ca-file the authority that signed it?"));
      }
      RETURN_IF_ERROR(WaitAfter(n, "TLS handshake failed", deadline));
    }
  }

  absl::StatusOr<std::string> Read(absl::Time deadline) override {
    std::string bytes(64 << 10, '\0');
    for (;;) {
      const int n = SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()));
      if (n > 0) {
        bytes.resize(static_cast<size_t>(n));
        return bytes;
      }
      if (SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN) return std::string();
      RETURN_IF_ERROR(WaitAfter(n, "the TLS connection broke", deadline));
    }
  }

  absl::Status Write(std::string_view bytes, absl::Time deadline) override {
    while (!bytes.empty()) {
      const size_t size = std::min<size_t>(bytes.size(), 1 << 20);
      const int n = SSL_write(ssl_, bytes.data(), static_cast<int>(size));
      if (n > 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      RETURN_IF_ERROR(WaitAfter(n, "the TLS connection broke", deadline));
    }
    return absl::OkStatus();
  }

  bool Idle() const override {
    pollfd poll_fd{fd_, POLLIN, 0};
    return SSL_pending(ssl_) == 0 && poll(&poll_fd, 1, 0) == 0;
  }

 private:
  // Waits for what the operation that returned `n` needs; its error if it needs nothing.
  absl::Status WaitAfter(int n, std::string_view what, absl::Time deadline) {
    switch (SSL_get_error(ssl_, n)) {
      case SSL_ERROR_WANT_READ:
        return WaitFor(fd_, POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE:
        return WaitFor(fd_, POLLOUT, deadline);
      default:
        return absl::UnavailableError(Cat(what, ": ", LastError()));
    }
  }

  int fd_;
  SSL_CTX* context_;
  SSL* ssl_;
};

absl::Status LoadFiles(SSL_CTX* context, const TlsFiles& tls) {
  if (!tls.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context, tls.ca_file.c_str(), nullptr) != 1) {
      return absl::UnavailableError(Cat("cannot read --ca-file ", tls.ca_file, ": ", LastError()));
    }
  } else {
    SSL_CTX_set_default_verify_paths(context);
  }
  if (tls.cert_file.empty()) return absl::OkStatus();
  const std::string& key_file = tls.key_file.empty() ? tls.cert_file : tls.key_file;
  if (SSL_CTX_use_certificate_chain_file(context, tls.cert_file.c_str()) != 1) {
    return absl::UnavailableError(
        Cat("cannot read --cert-file ", tls.cert_file, ": ", LastError()));
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return absl::UnavailableError(Cat("cannot use --key-file ", key_file, ": ", LastError()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stream>> StartTls(int fd, const std::string& host,
                                                 const TlsFiles& tls, absl::Time deadline) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  absl::Status status = absl::OkStatus();
  if (context == nullptr) {
    status = absl::UnavailableError(Cat("cannot set up TLS: ", LastError()));
  } else {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    status = LoadFiles(context, tls);
    if (status.ok()) ssl = SSL_new(context);
  }
  auto stream = std::make_unique<TlsStream>(fd, context, ssl);
  if (!status.ok()) return status;
  if (ssl == nullptr) return absl::UnavailableError("cannot set up TLS: out of memory");
  SSL_set_fd(ssl, fd);
  // An address is compared with the certificate's addresses, a name with its names (and sent: SNI).
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0);
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  RETURN_IF_ERROR(stream->Handshake(deadline));
  return stream;
}

}  // namespace fleet::client
