"""Faults of one connection or request, and of what decides about it: routing, security, limits, lifespan."""

from typing import Final

from . import rows_of

ROWS: Final = rows_of(r"""
# websocket/app.py: tests/websocket

a refused handshake keeps its place
-             self._usage.discard(client)
+             pass

a handler's exception is not counted
- self._usage.failed += isinstance(error, Exception)
+ pass

a stop of the server closes as a mistake of the handler
- is_ours = task is None or task.cancelling() > 0
+ is_ours = False

any cancellation closes as a stop of the server
- is_ours = task is None or task.cancelling() > 0
+ is_ours = True

a handler that returns before accept is not refused
- await self._refuse(ws, Refusal.NOT_ACCEPTED)
+ pass

a handler that returns does not close
-             elif not ws.closed:
-                 await ws.close()
+             elif not ws.closed:
+                 pass

a denial raised after accept is not a mistake
- if len(answers) == len(causes) and ws.application_state is WebSocketState.CONNECTING:
+ if answers and ws.application_state is not WebSocketState.DISCONNECTED:

headers of an HTTPError are lost
- await self._deny(ws, answers[0].status, answers[0].detail, answers[0].headers)
+ await self._deny(ws, answers[0].status, answers[0].detail)

a payload error always closes with the code of its kind
- refusal.close_code if close_code is None else close_code
+ refusal.close_code

refusals are not counted
- self._usage.refused[refusal.name] += 1
+ pass

a cut entry is hinted
- if entry is None or entry.endswith("...") else
+ if entry is None else

a failure of on_disconnect hides the first
-             if failure is None:
-                 self._usage.failed += 1
-                 raise
+             raise

the peer's doings are failures of on_disconnect
-             if all(isinstance(cause, PeerError) for cause in leaves(error)):
-                 return
+             pass

a cleanup that is too slow is a mistake
- if is_cleanup and deadline.expired:
+ if False:

# websocket/websocket.py: tests/websocket

headers of the handshake itself may be set
- if name in _HANDSHAKE_HEADERS:
+ if False:

a denial of 299 may be sent
- not 300 <= status <= 599
+ not 200 <= status <= 599

a close is not idempotent
-         if self.application_state not in CLOSABLE:
-             return
+         pass

text passes for binary
-         if isinstance(data, bytes):
-             return data
+         return data  # type: ignore

the mode of receive_json is not looked at
- if mode is not None and isinstance(data, str) != (mode == "text"):
+ if False:

a group of nothing but the end is not quiet
- all(isinstance(each, ConnectionClosed) for each in leaves(error))
+ isinstance(error, ConnectionClosed)

an exception of the block is quiet
- is_quiet=lambda error: self.closed and
+ is_quiet=lambda error: self.closed or

a view of bytes goes to the server as it is
- "bytes": bytes(data)}
+ "bytes": data}

# websocket/channel.py: tests/websocket tests/test_limits.py

a cancelled accept does not end the connection
-             if not self.lifecycle.closed:
-                 self.begin_close(CloseCode.INTERNAL_ERROR, "", FORCED_CLOSE_TIMEOUT)
+             pass

a denial after accept is a close
- if self.lifecycle.application is _CONNECTED:
+ if False:

abort drops nothing where a close is under way
- if (self.lifecycle.application is _CONNECTED or is_closing) and
+ if self.lifecycle.application is _CONNECTED and

messages dropped while waiting are not counted
- self._usage.dropped_messages += 1
+ pass

an interrupted reader is left waiting
-         if reader is not None:
-             reader.cancel()
+         pass

daphne gets codes that it cannot send
- code = as_private_code(code)
+ pass

a lost connection is an error of the handler
- if means_gone(error, self._scope):
+ if False:

a message before the answer is lost
- self.receive_event = _beginning_with(event, self.receive_event)
+ pass

a second reader is let in
-             raise ConcurrentReceiveError("receive()")
+             pass

# websocket/channel.py: tests/hub/test_endings.py

an attached sender cannot send once the end has begun
- self._is_flushing = True
+ pass

# limits.py: tests/test_limits.py tests/websocket/test_policies.py

one connection too many is let in
- self.open >= limits.max_connections
+ self.open > limits.max_connections

one of a client too many is let in
- self.by_client[client] >= per_client
+ self.by_client[client] > per_client

a client's place is never free again
- self.by_client[client] -= 1
+ pass

bytes count as characters
- size = len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())
+ size = len(data)

statistics do not add up
- dropped_messages=self.dropped_messages + other.dropped_messages
+ dropped_messages=self.dropped_messages

# security.py: tests/test_security.py

an entry may have a path
- (?P<authority>[^/?#@\s]*)
+ (?P<authority>[^/?#@\s]*)/?

a port of six digits is one
- if port is not None and port > 65535:
+ if False:

the default port is another origin
- port = authority.port if authority.port is not None else _DEFAULT_PORTS.get(scheme)
+ port = authority.port

a wildcard holds for the name itself
- and origin.host.endswith(f".{wildcard.host}")
+ and origin.host.endswith(wildcard.host)

a wildcard holds for any port
- and origin.port == wildcard.port
+ and True

two Origin headers pass by the first
- if len(origin_lines) == 1 and self._origin_allowed
+ if self._origin_allowed

two Host headers pass by the first
- if len(host_lines) == 1 else None
+ if host_lines else None

null is everybody's own origin
- return text == "null" and None in exact
+ return text == "null"

a page without TLS may open wss
- or (origin.scheme == "http" and scheme in ("wss", "https"))
+ or False

the last of the forwarded hosts counts
- [forwarded[0].partition(",")[0].strip()]
+ [forwarded[0].rpartition(",")[2].strip()]

forwarded headers are always believed
-         if self.trust_forwarded:
-             forwarded = _header_lines(scope, b"x-forwarded-host")
+         if True:
+             forwarded = _header_lines(scope, b"x-forwarded-host")

an address is compared as it is written
- return Authority(match["name"] or f"[{ipv6}]", port)
+ return Authority(match["name"] or f"[{match['ipv6']}]", port)

hosts are not checked where any origin may come
-         if self._allowed_hosts is None and (not origin_lines or self.origins is UNSAFE_ANY):
+         if not origin_lines or self.origins is UNSAFE_ANY:

# security.py: tests/websocket/test_subprotocols.py tests/websocket/test_websocket.py

any subprotocol may be accepted
- if subprotocol not in offered or not is_token(subprotocol):
+ if not is_token(subprotocol):

a subprotocol need not be a token
- if subprotocol not in offered or not is_token(subprotocol):
+ if subprotocol not in offered:

# headers.py: tests/test_headers.py tests/test_headers_machine.py

the first value of a key is given
- return self._values[self._key(key)][-1]
+ return self._values[self._key(key)][0]

the last value of a header is given
- return self._values[self._key(key)][0]
+ return self._values[self._key(key)][-1]

names keep their case
- return key.lower()
+ return key

any mapping of values is equal
- if type(other) is type(self) else NotImplemented
+ if isinstance(other, MultiMapping) else NotImplemented

# http/app.py: tests/http

a lost connection is a failure
-             except OSError:
-                 raise ClientDisconnected from None
+             except OSError:
+                 raise

any answer of a handler is called
- if not callable(response):
+ if False:

a body that is too large is not counted
- self._usage.refused[Refusal.BODY_BYTES.name] += 1
+ pass

an answer that has begun is answered again
- None if started else send
+ send

# http/body.py: tests/http

the limit of the body is one byte too low
- elif self._limit is not None and self._received > self._limit:
+ elif self._limit is not None and self._received >= self._limit:

reading ahead has no bound
- and self._buffered >= READ_AHEAD_BYTES
+ and False

what is past the limit is kept
- and (self._limit is None or self._received <= self._limit)
+ and True

who waits is not told of a piece
-             self._taking = False
-             self._changed.set()
+             self._taking = False

# http/request.py: tests/http

a declared length is not looked at
- if limit is not None and declared.isdecimal() and
+ if False and declared.isdecimal() and

a body can be streamed twice
- self._streamed = True
+ pass

# http/responses.py: tests/http

an answer to HEAD has a body
- b"" if scope["method"] == "HEAD" else self.body
+ self.body

no content has a length
- if name != b"content-length"]
+ if name]

a redirect may be any status
- if status not in _REDIRECTS:
+ if False:

# endpoints.py: tests/websocket/test_endpoint.py tests/websocket/test_on_disconnect.py tests/test_callables.py

on_disconnect is not called
- channel.on_disconnect = partial(on_disconnect, ws)
+ pass

any encoding will do
- if cls.encoding not in ("text", "bytes", "json", None):
+ if False:

decode is overlooked
- for name in ("decode", "dispatch"):
+ for name in ("dispatch",):

a plain handler is let in
-     elif kind is Kind.VALUE:
+     elif False:

a generator is let in
-     if kind is Kind.GENERATOR:
+     if False:

init is not looked at
-         signature_of(cls).bind(**init)
+         pass

# endpoints.py: tests/http

HEAD is not answered by get
- names.setdefault("HEAD", "get")
+ pass

OPTIONS is not answered
- if request.method == "OPTIONS":
+ if False:

a plain handler blocks the loop
- return _call if kind_of(handler, is_through_wrappers=False) is Kind.AWAITABLE else _call_in_thread
+ return _call

# lifespan.py: tests/test_lifespan.py tests/test_lifespan_loops.py tests/test_lifespan_of_mounts.py

a mounted application's failure to start is ignored
- raise LifespanFailed(phase, event.get("message", ""))
+ pass

# application.py: tests/test_application.py tests/test_lifespan.py tests/test_lifespan_loops.py

on_error hides the handler's exception
-                 self._call_hook(self._on_error, error, scope)
-             raise
+                 self._call_hook(self._on_error, error, scope)
+                 return
+             raise

an exception of on_error goes on
-             logger.exception("on_error raised")
+             raise

the state of the server is overwritten
- state.setdefault(key, value)
+ state[key] = value

# lifespan.py: tests/test_lifespan.py tests/test_lifespan_loops.py tests/test_lifespan_of_mounts.py

a start that failed is not forgotten
-             self._discard(run)
+             pass

a stopped application starts again for a late connection
-             return {}
+             pass

the state is not given to the server
- scope["state"].update(state)
+ pass

a failed stop is a stop
- await send({"type": "lifespan.shutdown.failed", "message": _reason(error)})
+ await send({"type": "lifespan.shutdown.complete"})

the first connection's context is everybody's
- name="asgi_ws lifespan", context=Context())
+ name="asgi_ws lifespan")

# connection.py: tests/test_connection.py tests/routing/test_root_path.py

the last cookie of a name counts
- cookies.setdefault(name.strip(), _unquoted(value.strip()))
+ cookies[name.strip()] = _unquoted(value.strip())

cookies stay quoted
- if len(value) < 2 or not value[0] == value[-1] == '"':
+ if True:

each address of a /64 counts alone
- int(ip) >> 64 << 64
+ int(ip)

a mapped IPv4 address counts by its /64
- if ip.ipv4_mapped is not None or ip in _NAT64:
+ if ip in _NAT64:

the port of an address is text
- None if port is None else int(port))
+ port)

any Host header is in the URL
-         if parse_authority(host) is None:
-             host = str
+         if not host:
+             host = str

# routing/patterns.py: tests/routing

a shared part may be of any length
- if self._is_shared and len(text) > _LONGEST_SHARED_PART:
-             return None
-         match = self._regex.fullmatch(text)
-         if match is None:
+ match = self._regex.fullmatch(text)
+         if match is None:

a value may have a slash in it
- if any("/" in values[name] and converter is not PATH for name, converter in self._parameters):
+ if False:

a path is formatted that would be read otherwise
- return None if match is None or any(match[name] != value for name, value in values.items()) else text
+ return None if match is None else text

a parameter may stand twice
- if name in self.names:
+ if False:

a path may have dots for a part
- return None if {".", ".."} & set(path.split("/")) else quote
+ return quote

literal text is a pattern
- re.escape(piece) if isinstance(piece, str) else
+ piece if isinstance(piece, str) else

a parameter comes before literal text
- for length in range(min(len(texts), self._longest), -1, -1):
+ for length in range(min(len(texts), self._longest) + 1):

# routing/routes.py: tests/routing

a mount takes app and routes
- if (app is None) == (routes is None):
+ if app is None and routes is None:

a class is let in as an endpoint
-     if isinstance(endpoint, type):
+     if False:

# routing/router.py: tests/routing

routes of a mount have other converters
- redirect_slashes=self._redirect_slashes, converters=self._converters)
+ redirect_slashes=self._redirect_slashes)

405 does not say what is allowed
- return Response("Method Not Allowed", 405, [allow])
+ return Response("Method Not Allowed", 405)

426 does not say which protocol
- upgrade if scope.get("http_version") == "1.1" else ())
+ ())

slashes redirect though they should not
- if not self._redirect_slashes or not isinstance
+ if not isinstance

a redirect leads to another host
- if not location.startswith("/") or location.startswith("//"):
+ if False:

the query is lost by a redirect
- {'?' if query else ''}{query}")
+ ")

an endpoint of two routes counts twice
- apps = {id(app): app for app in self.counting_apps()}
+ apps = dict(enumerate(self.counting_apps()))

parameters of a mount are lost
- child = _with_params(scope, params)
+ child = _with_params(scope, {})
""")
