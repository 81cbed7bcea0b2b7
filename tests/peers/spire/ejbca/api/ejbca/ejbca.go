// Package ejbca lets SPIRE's server compile without its EJBCA upstream authority, which is never configured here.
package ejbca

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

var errAbsent = errors.New("EJBCA support is not built in")

type Authenticator interface{ absent() }

type authenticatorBuilder struct{}

func NewMTLSAuthenticatorBuilder() *authenticatorBuilder { return &authenticatorBuilder{} }

func (b *authenticatorBuilder) WithClientCertificate(*tls.Certificate) *authenticatorBuilder {
	return b
}
func (b *authenticatorBuilder) WithCaCertificates([]*x509.Certificate) *authenticatorBuilder {
	return b
}
func (b *authenticatorBuilder) Build() (Authenticator, error) { return nil, errAbsent }

type Configuration struct{ Host string }

func NewConfiguration() *Configuration                { return &Configuration{} }
func (*Configuration) SetAuthenticator(Authenticator) {}

type certificateAPI struct{}

type APIClient struct{ V1CertificateApi *certificateAPI }

func NewAPIClient(*Configuration) (*APIClient, error) { return nil, errAbsent }

func (*certificateAPI) EnrollPkcs10Certificate(context.Context) ApiEnrollPkcs10CertificateRequest {
	return ApiEnrollPkcs10CertificateRequest{}
}

type EnrollCertificateRestRequest struct{}

func NewEnrollCertificateRestRequest() *EnrollCertificateRestRequest {
	return &EnrollCertificateRestRequest{}
}
func (*EnrollCertificateRestRequest) SetUsername(string)                 {}
func (*EnrollCertificateRestRequest) SetPassword(string)                 {}
func (*EnrollCertificateRestRequest) SetCertificateRequest(string)       {}
func (*EnrollCertificateRestRequest) SetCertificateAuthorityName(string) {}
func (*EnrollCertificateRestRequest) SetCertificateProfileName(string)   {}
func (*EnrollCertificateRestRequest) SetEndEntityProfileName(string)     {}
func (*EnrollCertificateRestRequest) SetIncludeChain(bool)               {}
func (*EnrollCertificateRestRequest) SetAccountBindingId(string)         {}

type ApiEnrollPkcs10CertificateRequest struct{}

func (r ApiEnrollPkcs10CertificateRequest) EnrollCertificateRestRequest(EnrollCertificateRestRequest) ApiEnrollPkcs10CertificateRequest {
	return r
}

func (r ApiEnrollPkcs10CertificateRequest) Execute() (*CertificateRestResponse, *http.Response, error) {
	return nil, nil, errAbsent
}

type CertificateRestResponse struct{ CertificateChain []string }

func (*CertificateRestResponse) GetResponseFormat() string { return "" }
func (*CertificateRestResponse) GetCertificate() string    { return "" }

type GenericOpenAPIError struct{}

func (GenericOpenAPIError) Error() string { return errAbsent.Error() }
func (GenericOpenAPIError) Body() []byte  { return nil }
