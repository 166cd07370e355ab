# What a body's own machine does, in a folder with its keys: `ask <body> <id> <question> <about>`, or `send <body>` what lies there again.
# FRONT: full name of the service; AT: another time than now; FLOOD: `?n=[1-9]` asks nine times; `<body>`, `<body>.crt`, `<body>.key`, `ca.crt`: keys and certificates.
write() {
  printf '{"format": "jinbao-request-1", "id": "%s", "body": "%s", "time": "%s", "nonce": "%s", "ask": "%s", "about": %s}' \
    "$2" "$1" "${AT:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}" "$(openssl rand -hex 16)" "$3" "$4" > request.json
}
sign() {
  rm -f request.json.sig
  ssh-keygen -q -Y sign -f "$1" -n jinbao-request-1 request.json
}
send() {
  curl -sS --cacert ca.crt --cert "$1.crt" --key "$1.key" --data-binary @request.json \
    -H "Signature: $(sed '/^-/d' request.json.sig | tr -d '\n')" "https://$FRONT/request${FLOOD:-}"
}
ask() {
  write "$@"
  sign "$1"
  send "$1"
}
