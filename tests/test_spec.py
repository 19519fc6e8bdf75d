"""Two spellings, one fusion; every slip gets a caret and a suggestion."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.errors import SpecError
from intermodal.spec import ALL, EACH, Edge, Spec

SPELLINGS = [
    ("text <-> video", "text -> video, video -> text"),
    ("text <-> video", "video<->text"),
    ("text -> video", "video <- text"),
    ("text -> video", "text -> video,text->video"),
    ("[text] -> video", "text -> video"),
    ("[text video] -> audio", "[video text] -> audio"),
    ("self", "[*] -> [*]"),
    ("self", "[*] <-> [*]"),
    ("cross", "* -> *"),
    ("cross", " * <-> * "),
    ('"text" -> "video"', "text->video"),
    ("a-b -> c", "c <- a-b"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_two_spellings_of_one_fusion_are_equal(one: str, other: str) -> None:
    assert Spec.parse(one) == Spec.parse(other)
    assert hash(Spec.parse(one)) == hash(Spec.parse(other))


@pytest.mark.parametrize("text", ["text -> video", "video -> text", "none", "self", "cross", "[a b] -> [a b]"])
def test_different_fusions_differ(text: str) -> None:
    others = {"text -> video", "video -> text", "none", "self", "cross", "[a b] -> [a b]"} - {text}
    assert all(Spec.parse(text) != Spec.parse(other) for other in others)
    assert Spec.parse(text) != text


def test_edges_keep_the_order_of_writing() -> None:
    spec = Spec.parse("text <-> video, audio -> text, [a b] -> *")
    assert spec.edges == (
        Edge("text", "video"),
        Edge("video", "text"),
        Edge("audio", "text"),
        Edge(("a", "b"), EACH),
    )


def test_a_self_loop_is_one_edge() -> None:
    assert Spec.parse("a <-> a").edges == (Edge("a", "a"),)
    assert str(Spec.parse("a <-> a")) == "a -> a"


RESOLVED = [
    ("self", "abc", "[a b c] -> [a b c]"),
    ("self", "a", "a -> a"),
    ("cross", "ab", "a <-> b"),
    ("cross", "abc", "a->b, a->c, b->a, b->c, c->a, c->b"),
    ("cross", "a", "none"),
    ("none", "ab", "none"),
    ("* -> a", "abc", "b -> a, c -> a"),
    ("a -> *", "abc", "a -> b, a -> c"),
    ("a -> [*]", "ab", "a -> [a b]"),
    ("* -> [*]", "ab", "a -> [a b], b -> [a b]"),
    ("[*] -> c", "abc", "[a b c] -> c"),
    ("a -> a", "ab", "a -> a"),
]


@pytest.mark.parametrize(("text", "names", "explicit"), RESOLVED)
def test_wildcards_expand_over_the_modalities(text: str, names: str, explicit: str) -> None:
    assert Spec.parse(text).resolve(names) == Spec.parse(explicit)
    assert Spec.parse(text, names) == Spec.parse(explicit)


def test_resolved_cross_is_every_ordered_pair_in_order() -> None:
    edges = Spec.parse("cross").resolve("abc").edges
    assert [str(e) for e in edges] == ["a -> b", "a -> c", "b -> a", "b -> c", "c -> a", "c -> b"]


names = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="*"), min_size=1, max_size=7)
names |= st.text(string.ascii_letters + "-_.", min_size=1, max_size=5).filter(lambda n: "->" not in n)
joins = st.lists(names, min_size=2, max_size=3, unique=True).map(tuple)
sides = names | joins | st.just(EACH) | st.just(ALL)


@given(st.lists(st.builds(Edge, sides, sides), max_size=5))
def test_the_text_of_any_spec_reads_back_to_an_equal_spec(edges: list[Edge]) -> None:
    spec = Spec(tuple(edges))
    assert Spec.parse(str(spec)) == spec
    assert set(spec.edges) == set(edges)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_by_a_spec_error(text: str) -> None:
    try:
        spec = Spec.parse(text)
    except SpecError:
        return
    assert Spec.parse(str(spec)) == spec


MESSAGES = [
    ("", 'a spec is "self", "cross", "none" or clauses as "text -> video", however: it is empty'),
    (
        "slef",
        'a clause reads "a -> b", "a <- b" or "a <-> b", however: the text ends here; did you mean "self"?\n'
        "    slef\n        ^",
    ),
    (
        "text -> ",
        'a side is a name, "*", "[name name]" or "[*]", however: the text ends here\n    text -> \n            ^',
    ),
    ("a -> b c", 'clauses are separated by commas, however: "c"\n    a -> b c\n           ^'),
    ("[a a] -> b", 'a joined side names each modality once, however: "a"\n    [a a] -> b\n       ^'),
    ("[a -> b", '"[" is closed by "]", however: "->"\n    [a -> b\n       ^^'),
    ("[] -> b", '"[" is followed by names or by "*", however: "]"\n    [] -> b\n     ^'),
    (
        "a > b",
        'a spec is made of names, "*", "[ ]", commas and arrows, however: ">"\n    a > b\n      ^',
    ),
    (
        "a -> b,",
        'a side is a name, "*", "[name name]" or "[*]", however: the text ends here\n    a -> b,\n           ^',
    ),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_a_slip_gets_a_sentence_and_a_caret(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Spec.parse(text)
    assert str(caught.value) == message


def test_an_unknown_modality_gets_a_caret_and_the_nearest_name() -> None:
    with pytest.raises(SpecError) as caught:
        Spec.parse("text <-> vidoe").resolve(["text", "video"])
    assert str(caught.value) == (
        'a spec names modalities that exist, however: "vidoe"; did you mean "video"?\n'
        "    text <-> vidoe\n"
        "             ^^^^^"
    )


def test_the_caret_stands_under_wide_characters() -> None:
    with pytest.raises(SpecError) as caught:
        Spec.parse("文本 -> 视").resolve(["文本", "视频"])
    assert str(caught.value).splitlines()[1:] == ["    文本 -> 视", "            ^^"]


DESCRIPTIONS = [
    ("text <-> video", "text asks video; video asks text"),
    ("self", "all modalities ask one another as one sequence"),
    ("cross", "every modality asks every other"),
    ("none", "nobody asks: each modality is pooled on its own (late fusion)"),
    ("[a b] -> c", "a and b together ask c"),
    ("a -> [b c d]", "a asks b, c and d as one sequence"),
    ("a -> a", "a asks its own tokens"),
    ("[a b] -> [b a]", "a and b ask one another as one sequence"),
    ("* -> a", "every other modality asks a"),
    ("[*] -> a", "all modalities together ask a"),
]


@pytest.mark.parametrize(("text", "words"), DESCRIPTIONS)
def test_describe_says_it_in_words(text: str, words: str) -> None:
    assert Spec.parse(text).describe() == words


def test_a_spec_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Spec.parse("self").edges = ()  # type: ignore[misc]


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(SpecError, match="a spec is a text or a Spec, however: int came"):
        Spec.parse(3)  # type: ignore[arg-type]
