"""One way to ask a web server: asks again after temporary failures and turns the rest into our errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from glm_assets.errors import DownloadError
from glm_assets.sources.location import public_url, split_credentials
from glm_assets.sources.progress import Progress

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

Answer = TypeVar("Answer")

# Request timeout, too many requests; every 5xx is temporary too.
_TEMPORARY_STATUS = (408, 429)
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a download is.

    Attributes:
        attempts: How often a request is made before it counts as failed.
        first_wait_s: Pause after the first failure in seconds; it doubles each time, plus a random part.
        longest_wait_s: Upper limit of the pause.
        timeout_s: How long a silent server is waited for.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 60.0


DEFAULT_POLICY = RetryPolicy()


class TransientError(Exception):
    """A failure that may pass by itself: `get` asks again."""


def get(
    url: str,
    use: Callable[[httpx.Response], Answer],
    *,
    policy: RetryPolicy,
    progress: Progress,
    headers: Callable[[], Mapping[str, str]] = dict,
) -> Answer:
    """Request `url` and hand the open response to `use`, again while failures look temporary.

    Args:
        url: Web address; user and password in it are sent as such and appear in no message.
        use: Reads the body; may raise `TransientError`. Its status is 200, 206 or 416.
        policy: How often and how long to try.
        progress: Told of each failed attempt.
        headers: Made anew for each attempt, because a resumed download asks for another range.

    Returns:
        What `use` returns.

    Raises:
        DownloadError: The server refuses, or every attempt failed.
    """
    import httpx

    address, credentials = split_credentials(url)
    shown = public_url(url)
    # A compressed transfer would hide the file's own size and break ranges.
    fixed = {"User-Agent": "glm_assets", "Accept-Encoding": "identity"}
    # httpx follows redirects to http and https only, and sends neither user nor Authorization to another host.
    with httpx.Client(
        headers=fixed,
        auth=credentials,
        timeout=policy.timeout_s,
        follow_redirects=True,
        event_hooks={"request": [lambda request: _refuse_downgrade(address, request)]},
    ) as client:

        def attempt() -> Answer:
            try:
                with client.stream("GET", address, headers=dict(headers())) as response:
                    _check_status(response, shown)
                    return use(response)
            except httpx.UnsupportedProtocol as error:
                raise DownloadError(f"{shown} cannot be read ({error})", fix="check GLM_NCBI_URL") from error
            except httpx.TransportError as error:
                raise TransientError(str(error) or type(error).__name__) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise DownloadError(f"{shown} cannot be read ({error})") from error

        return _patiently(attempt, shown, policy, progress)


def _refuse_downgrade(address: str, request: httpx.Request) -> None:
    """Refuse to be led from an encrypted address to one that anybody on the way can read and change."""
    if address.lower().startswith("https:") and request.url.scheme != "https":
        raise DownloadError(
            f"{public_url(address)} leads to {public_url(str(request.url))}, which is not encrypted",
            expected="a redirect from https to https",
            fix="name the address that has the files, if you trust it",
        )


def _patiently(attempt: Callable[[], Answer], shown: str, policy: RetryPolicy, progress: Progress) -> Answer:
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

    def announce(state: RetryCallState) -> None:
        progress(
            f"{shown}: {_failure(state)}; attempt {state.attempt_number} of {policy.attempts}, "
            f"next in {state.upcoming_sleep:.1f} s"
        )

    def give_up(state: RetryCallState) -> Answer:
        raise DownloadError(
            f"{shown} cannot be read: {_failure(state)}",
            expected=f"an answer within {policy.attempts} attempts",
            fix="check the address and the network, then run again; what has arrived of a file is kept",
        ) from _failure(state)

    retrying = Retrying(
        stop=stop_after_attempt(policy.attempts),
        wait=wait_exponential_jitter(
            multiplier=policy.first_wait_s, max=policy.longest_wait_s, jitter=policy.first_wait_s
        ),
        retry=retry_if_exception_type(TransientError),
        before_sleep=announce,
        retry_error_callback=give_up,
    )
    return retrying(attempt)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _check_status(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if status in (200, 206, _RANGE_NOT_SATISFIABLE):
        return
    reason = f"{status} {response.reason_phrase}".strip()
    if status >= 500 or status in _TEMPORARY_STATUS:
        raise TransientError(f"the server answers {reason}")
    raise DownloadError(
        f"{shown} cannot be read: the server answers {reason}",
        expected="a file or folder at this address",
        fix="check GLM_NCBI_URL; it is the root of NCBI's tree, such as https://ftp.ncbi.nlm.nih.gov",
    )
