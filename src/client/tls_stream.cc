#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/status.h"
#include "client/stream.h"
#include "client/text.h"

namespace fleet::client {
namespace {

// What began the trouble. OpenSSL keeps a queue of errors, and none is left in it.
unsigned long TakeError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  return code;
}

std::string Describe(unsigned long code) {
  if (code == 0) return "the connection was closed";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : Cat("error ", code);
}

std::string LastError() { return Describe(TakeError()); }

// True for what a server says that does not take the client's certificate, or misses it.
bool IsAboutClientCertificate(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(code)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // TLS 1.2, without one
      return true;
    default:
      return false;
  }
}

// OpenSSL works on two memory buffers; this moves them to and from the stream below.
class TlsStream final : public Stream {
 public:
  // Takes everything over; `ssl` has memory buffers.
  TlsStream(std::unique_ptr<Stream> below, std::string cert_file, SSL_CTX* context, SSL* ssl)
      : below_(std::move(below)), cert_file_(std::move(cert_file)), context_(context), ssl_(ssl) {}
  ~TlsStream() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  absl::Status Handshake(absl::Time deadline) {
    for (;;) {
      const int n = SSL_connect(ssl_);
      // What there is to say to the server, be it that its certificate is refused.
      absl::Status flushed = Flush(deadline);
      if (n == 1) return flushed;
      const long verified = SSL_get_verify_result(ssl_);
      if (verified != X509_V_OK) {
        ERR_clear_error();
        return absl::UnavailableError(
            Cat("the server's certificate is refused: ", X509_verify_cert_error_string(verified),
                "; is --ca-file the authority that signed it?"));
      }
      RETURN_IF_ERROR(flushed);
      RETURN_IF_ERROR(FillAfter(n, "TLS handshake failed", deadline));
    }
  }

  absl::StatusOr<std::string> Read(absl::Time deadline) override {
    std::string bytes(64 << 10, '\0');
    for (;;) {
      const int n = SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()));
      RETURN_IF_ERROR(Flush(deadline));  // reading may have made an answer to the server's keys
      if (n > 0) {
        bytes.resize(static_cast<size_t>(n));
        return bytes;
      }
      if (SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN) return std::string();
      RETURN_IF_ERROR(FillAfter(n, "the TLS connection broke", deadline));
    }
  }

  absl::Status Write(std::string_view bytes, absl::Time deadline) override {
    while (!bytes.empty()) {
      const size_t size = std::min<size_t>(bytes.size(), 1 << 20);
      const int n = SSL_write(ssl_, bytes.data(), static_cast<int>(size));
      RETURN_IF_ERROR(Flush(deadline));
      if (n > 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      RETURN_IF_ERROR(FillAfter(n, "the TLS connection broke", deadline));
    }
    return absl::OkStatus();
  }

  bool Idle() const override {
    return SSL_pending(ssl_) == 0 && BIO_ctrl_pending(SSL_get_rbio(ssl_)) == 0 && below_->Idle();
  }

 private:
  // Sends what OpenSSL has written.
  absl::Status Flush(absl::Time deadline) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_), &bytes);
    if (size <= 0) return absl::OkStatus();
    const std::string pending(bytes, static_cast<size_t>(size));
    static_cast<void>(BIO_reset(SSL_get_wbio(ssl_)));
    absl::Status status = below_->Write(pending, deadline);
    // A server that ends the connection may have said why.
    if (absl::IsUnavailable(status)) {
      const auto last_words = below_->Read(absl::InfinitePast());
      if (last_words.ok() && !last_words->empty()) {
        BIO_write(SSL_get_rbio(ssl_), last_words->data(), static_cast<int>(last_words->size()));
        char byte = 0;
        const int n = SSL_read(ssl_, &byte, 1);
        if (n <= 0 && SSL_get_error(ssl_, n) == SSL_ERROR_SSL)
          return Failed("the TLS connection broke");
      }
    }
    return status;
  }

  // The error of the operation before.
  absl::Status Failed(std::string_view what) const {
    const unsigned long error = TakeError();
    if (!IsAboutClientCertificate(error))
      return absl::UnavailableError(Cat(what, ": ", Describe(error)));
    return absl::UnavailableError(
        cert_file_.empty()
            ? Cat("the server wants a client certificate (", Describe(error),
                  "): name yours with --cert-file and --key-file")
            : Cat("the server refuses the client certificate ", cert_file_, " (", Describe(error),
                  "): is it signed by an authority that the server takes (its listen_cafile)?"));
  }

  // Reads for the operation that returned `n`; its error if it does not wait for that.
  absl::Status FillAfter(int n, std::string_view what, absl::Time deadline) {
    if (SSL_get_error(ssl_, n) != SSL_ERROR_WANT_READ) return Failed(what);
    ASSIGN_OR_RETURN(const std::string bytes, below_->Read(deadline));
    if (bytes.empty()) return absl::UnavailableError(Cat(what, ": the connection was closed"));
    BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    return absl::OkStatus();
  }

  std::unique_ptr<Stream> below_;
  std::string cert_file_;
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

absl::StatusOr<std::unique_ptr<Stream>> StartTls(std::unique_ptr<Stream> stream,
                                                 const std::string& host, const TlsFiles& tls,
                                                 absl::Time deadline) {
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
  auto secure = std::make_unique<TlsStream>(std::move(stream), tls.cert_file, context, ssl);
  if (!status.ok()) return status;
  if (ssl == nullptr) return absl::UnavailableError("cannot set up TLS: out of memory");
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  // An address is compared with the certificate's addresses, a name with its names (and sent: SNI).
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0);
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  RETURN_IF_ERROR(secure->Handshake(deadline));
  return secure;
}

}  // namespace fleet::client
