/**
 * @module Certificates that exist for the tests of this package and nowhere else. Made once with openssl, valid from 2020 for a
 * hundred years: so that the tests need neither openssl nor today's date.
 */

/** The authority that signed the others, but for the stranger's. */
export const authority = `-----BEGIN CERTIFICATE-----
MIIBUzCB+6ADAgECAgEBMAoGCCqGSM49BAMCMBkxFzAVBgNVBAMMDnRlc3QgYXV0
aG9yaXR5MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAZMRcwFQYD
VQQDDA50ZXN0IGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJ5x
we7ivihfiUSt07p5DiSxYDmpzA51W021MeLZwWheIuibYYymHXXApDCBcQj5pU54
IauikbsBUZAhYfcyqjOjMjAwMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFDDS
OQO+t4zoykeT4ka+3WwVkEGJMAoGCCqGSM49BAMCA0cAMEQCIBiQ+4lyz3DpaJXr
bySW2nkrhVKTFO23W+cSIfjKRvqLAiAwSw9o43GsXiTq+/ZUqUD8LB9nL033DSDF
xCqhrfJu7w==
-----END CERTIFICATE-----`;

/** A server at 127.0.0.1. */
export const server: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIBAjAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA50ZXN0IGF1
dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAG
A1UEAwwJMTI3LjAuMC4xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFXgdRIcC
2JZvH9vpMLTWoYA62hIm4wmOiYtz9fZwt6l783H0LehZWSkV+47eQFrob5uuth4X
Nn7oFqFYqf3DuaNTMFEwDwYDVR0RBAgwBocEfwAAATAdBgNVHQ4EFgQUeR/mZWmZ
DdHX6ck2d7slViJYX4MwHwYDVR0jBBgwFoAUMNI5A763jOjKR5PiRr7dbBWQQYkw
CgYIKoZIzj0EAwIDSQAwRgIhAOVg2AQiSkdHxz4Hd9+MaKzmk/05E3hZV0BLKpbn
jZelAiEAp7E1tp+ReQBXiScA0YJ5ha8+vcoqGKpzvuykCaLwre0=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgj/lcej/oaAuMfJI+
I6N+7BC/vNwCJvgAIvXDZJvPGvehRANCAAQVeB1EhwLYlm8f2+kwtNahgDraEibj
CY6Ji3P19nC3qXvzcfQt6FlZKRX7jt5AWuhvm662Hhc2fugWoVip/cO5
-----END PRIVATE KEY-----`,
};

/** A client with a SPIFFE ID, spiffe://shop.test/ns/prod/sa/cart. */
export const workload: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBlzCCAT6gAwIBAgIBAzAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA50ZXN0IGF1
dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowEjEQMA4G
A1UEAwwHaWdub3JlZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMDAERDI1tdj
q/B8o5AnINGM/Z7EiFLiiIg0vqQNxTv5/0qMYce+xcvN7y3BvBlbFGgCran+KTfu
gNbQeGyk4UujfDB6MDgGA1UdEQQxMC+GInNwaWZmZTovL3Nob3AudGVzdC9ucy9w
cm9kL3NhL2NhcnSCCWNhcnQudGVzdDAdBgNVHQ4EFgQUXdTr4aaCxBOL0xIj5eq4
pWSKhEYwHwYDVR0jBBgwFoAUMNI5A763jOjKR5PiRr7dbBWQQYkwCgYIKoZIzj0E
AwIDRwAwRAIgEUnNeKKYWEffDWwWDoffUi9Ivjir4ceMkPwOQasgpo0CIHAaQgpy
iX8t+oBashvu7PrPa1B/JCu+jwszucoEwIwk
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkfyJRvJqS3sitAES
U1RinF2EAjy2P1CMyQ1sB31T5tahRANCAATAwBEQyNbXY6vwfKOQJyDRjP2exIhS
4oiINL6kDcU7+f9KjGHHvsXLze8twbwZWxRoAq2p/ik37oDW0HhspOFL
-----END PRIVATE KEY-----`,
};

/** A client with nothing but a name, batch job. */
export const named: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBFTCBvQIBBDAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA50ZXN0IGF1dGhvcml0
eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJ
YmF0Y2ggam9iMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMJADQRP+wbu9kY26
1U/VWo/rZdAwv/kzIOx9XWEjD/0e7RM8FmxdnQJk0K+kUGKXYGkk1Q77vlPoiOdg
m+4DBzAKBggqhkjOPQQDAgNHADBEAiAiC1TLxCkkLIxrjskC+ly/Jevv8UAsWRbp
fG8E/wTYIgIgctMLA0Rqn5nwDfyUZqCTKmlPI6uIsMcIOveUlcu1b+I=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFxAwKT6TyYrx1bKz
tmHvL9HiuYUsD9FH7684gRV8ofShRANCAAQwkANBE/7Bu72RjbrVT9Vaj+tl0DC/
+TMg7H1dYSMP/R7tEzwWbF2dAmTQr6RQYpdgaSTVDvu+U+iI52Cb7gMH
-----END PRIVATE KEY-----`,
};

/** A client that says that it is the workload, and signed that itself. */
export const stranger: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBYzCCAQmgAwIBAgIBBTAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZub2JvZHkw
IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBm5v
Ym9keTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHYCidbPeVsjG8Qu+GRw32fQ
oI0EtxuyagHe/Wt/WwwljiOpE8l62mzluI2vEytIw7H26SGYyJcEb5VozvS/bFyj
UDBOMC0GA1UdEQQmMCSGInNwaWZmZTovL3Nob3AudGVzdC9ucy9wcm9kL3NhL2Nh
cnQwHQYDVR0OBBYEFDunQSKTc7vvuYy4zRI+l8U69DAAMAoGCCqGSM49BAMCA0gA
MEUCIBgROtPIKqBEzuL2KKIU8DMTUOrqHgXU7QYS38BQ9368AiEAuogyhcWa6VWS
nGvENrt5f2mczYZ+ONCxTRGMclEDXSI=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6PVLjWsYeViYNGJJ
XgAptNqQHYTRgBs2isvaDDMw3LyhRANCAAR2AonWz3lbIxvELvhkcN9n0KCNBLcb
smoB3v1rf1sMJY4jqRPJetps5biNrxMrSMOx9ukhmMiXBG+VaM70v2xc
-----END PRIVATE KEY-----`,
};
