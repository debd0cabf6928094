"""Hard JSON documents, and what is to be made of each: by the kinds of JSONTestSuite (y_ must be taken, n_ must be refused), and beyond."""

from __future__ import annotations

GOOD: tuple[bytes, ...] = (
    # RFC 8259, section 2: any value is a document, space may stand around it.
    b"null", b"true", b"false", b"0", b"-0", b'""', b"[]", b"{}", b" [] ", b"\t\r\n [\t]\n", b"[\n\n]", b'{ "a" : 1 }',
    b"[true,false,null]", b'"lonely"', b"42", b"-0.1", b"[[]]", b"[{}]", b'{"":0}', b'{"a":{}}', b"[1,2,3]", b'[null,1,"1",{}]',
    b"[1,null,null,null,2]",
    # Section 6: numbers.
    b"[123]", b"[-1]", b"[-0]", b"[0e1]", b"[0e+1]", b"[1E22]", b"[1e-2]", b"[1E+2]", b"[123e45]", b"[123.456e78]", b"[20e1]", b"[-0.0]",
    b"[123.456789]", b"[-123]", b"[ 4]", b"[1.5e0]", b"[0.5]", b"[-1e10]", b"[9007199254740993]", b"[18446744073709551615]",
    b"[-9223372036854775808]", b"[1234567890123456789]", b"[-0." + b"0" * 76 + b"1]", b"[3.14159265358979323846264338327950288]",
    b"[1e308]", b"[5e-324]", b"[1e-400]", b'["123456789012345678901234567890"]', b'["a",123456789012345678]', b"[12345678901234567890.5]",
    b"[1.00000000000000000000000000000000]", b"[100000000000000000000e0]",
    # Section 7: strings.
    b'["\\u0060\\u012a\\u12AB"]', b'["\\uD801\\udc37"]', b'["\\ud83d\\ude39\\ud83d\\udc8d"]', b'["\\"\\\\\\/\\b\\f\\n\\r\\t"]',
    b'["\\\\u0000"]', b'["\\""]', b'["a/*b*/c/*d//e"]', b'["\\\\a"]', b'["\\\\n"]', b'["\\u0012"]', b'["\\uFFFF"]', b'["asd"]',
    b'[ "asd"]', b'["\\uDBFF\\uDFFF"]', b'["new\\u00A0line"]', '["\U0010ffff"]'.encode(), '["\uffff"]'.encode(), b'["\\u0000"]',
    b'["\\u002c"]', '["π"]'.encode(), '["𝄞"]'.encode(), b'["asd "]', b'" "', b'["\\uD834\\uDd1e"]', b'["\\u0821"]', b'["\\u0123"]',
    '["\u2028\u2029"]'.encode(), b'["\\u0061\\u30af\\u30EA\\u30b9"]', b'["new\\u000Aline"]', b'["\x7f"]', b'["\\uA66D"]', b'["\\u005C"]',
    '["⍂㈴⍂"]'.encode(), b'["\\u0022"]', b'["\\uDBFF\\uDFFE"]', b'["\\u200B"]', b'["\\u2064"]', b'["\\uFDD0"]', b'["\\uFFFE"]',
    '["€𝄞"]'.encode(), b'["a\x7fa"]', b'["\\\\\\\\\\""]', b'["\\\\\\"\\\\"]', b'["[[[[[[{{{{,,,,:"]',
    # Section 4: objects.
    b'{"asd":"sdf", "dfg":"fgh"}', b'{"a":[]}', b'{"foo\\u0000bar": 42}', b'{"min": -1.0e+28, "max": 1.0e+28}',
    b'{"title":"\\u041f\\u043e"}', b'{"a":"b","A":"b"}', b'{"a":{"a":1}}', b'[{"a":1},{"a":1}]', b'{"x":[{"id": "xxx"}], "id": "yyy"}',
    b'{\n"a": "b"\n}', b'{"\\"":1,"\\\\":2}', b"[" * 30 + b"]" * 30, b'{"a":' * 30 + b"1" + b"}" * 30,
)  # fmt: skip

BAD: tuple[bytes, ...] = (
    # No value, half a value, more than one.
    b"", b" ", b"\n", b"[", b"]", b"{", b"}", b"[]]", b"{}}", b"[1]x", b"1 2", b"[][]", b"{}{}", b'{"a":1} x', b"[1],", b"{},", b'""x',
    b"[}", b"{]", b"[[", b'{"a":', b'{"a"', b'{"a', b'"', b'"a', b"'a'", b"[1,", b"[,", b"[,1]", b"[1,]", b"[1,,2]", b"[1,,]", b"[,]",
    b"[:1]", b"[1:2]", b"[1 2]", b"[1 true]", b'["a" "b"]', b"[-]", b"[x", b"[1\n", b'["": 1]', b'[""],', b"[\n1,\n1\n,1", b"2@", b"<.>",
    b"[<null>]", b"[\\x]", b"*", b"#{}", b"0xA", b"a", b"[a]", b"[1e1x]", b"nul", b"tru", b"fals", b"nulls", b"[True]", b"TRUE", b"[nil]",
    b"undefined", b"[undefined]", b"\xc3\xa5", b"[\xc3\xa9]",
    # Objects.
    b"{1:1}", b"{a:1}", b"{'a':1}", b'{"a"}', b'{"a" 1}', b'{"a":}', b'{"a":,}', b'{"a",1}', b'{,"a":1}', b'{"a":1,}', b'{"a":1,,"b":2}',
    b'{:"b"}', b'{"a"::1}', b'{"a":1 "b":2}', b'{"a":"b","a"}', b'{[1]:1}', b'{null:null,null:null}', b'{"a":1;"b":2}', b'{9999E9999:1}',
    b'{"a":"a" 123}', b'{"x", null}', b'{"a": true} "x"', b'{"a":/*comment*/"b"}', b'{"a":"b"}/**/', b'{"a":"b"}//', b'{"a":"b"}#',
    b'{"a":"b"}/', b'{"id":0,}',
    # Numbers that are none, are none in JSON, or mean something else to the next reader.
    b"[NaN]", b"[-NaN]", b"[nan]", b"[Infinity]", b"[-Infinity]", b"[Inf]", b"[+1]", b"[++1]", b"[-01]", b"[012]", b"[00]", b"[1.]",
    b"[.5]", b"[-.5]", b"[1.e1]", b"[0.e1]", b"[1e]", b"[1e+]", b"[1E-]", b"[1eE2]", b"[1.2.3]", b"[0x1F]", b"[0b1]", b"[0o7]",
    b"[1_000]", b"[1,000.5,]", b"[- 1]", b"[1 000]", b"[2.e-3]", b"[0.3e+]", b"[1ea]", b"[1+2]", b"[-foo]", b"[-012]", b"[-2.]",
    b"[1.0e+]", "[\uff11]".encode(), b"[1e400]", b"[-1e9999]", b"[0e]", b"[0E+]", b"[123456789012345678901234567890]",
    b"[18446744073709551616]", b"[-9223372036854775809]", b'{"a":-123123123123123123123123123123}', b"1" * 400,
    # Strings.
    b'["\t"]', b'["\n"]', b'["a\x00b"]', b'["\x1f"]', b'["\\x00"]', b'["\\a"]', b'["\\"]', b'["\\\\\\"]', b'["\\u"]', b'["\\u1"]',
    b'["\\u12"]', b'["\\u00g0"]', b'["\\u{41}"]', b'["\\U00000041"]', b'["\\0"]', b"['single']", b'[\\n]', b'["\\', b'["a', b'["\\uD8',
    b'["\\\xf0\x9f\x8c\x80"]', b'["\\ "]', b'[\\u0020"asd"]', b'["\\ud800"]', b'["\\udc00"]', b'["\\ud800\\ud800"]', b'["\\ud800x"]',
    b'["\\uDd1e\\uD834"]', b'["\\uD800\\n"]', b'["\\ud800abc"]', b'["\\uD888\\u1234"]', b'{"\\ud800":1}', b'["\\uDADA"]', b'["\\u\xe5"]',
    b'["\\ud83d"]',
    # Bytes that are not UTF-8, or UTF-8 of something that is none.
    b"\xff", b'["\xff"]', b'["\xc0\xaf"]', b'["\xe0\x80\xaf"]', b'["\xed\xa0\x80"]', b'["\xf4\xbf\xbf\xbf"]', b'["\xf8\x87\xbf\xbf\xbf"]',
    b'["\xe6\x97"]', b'["\x81"]', b'["\xe9"]', b'["\xfc\x83\xbf\xbf\xbf\xbf"]', b"[\xff]", b'{"\xf0\x9f":0}', b'["a\xed\xb0\x80"]',
    "[1]".encode("utf-16"), "[1]".encode("utf-16-be"), "[1]".encode("utf-32"), b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", b"\xef\xbb",
    b"[\xe2\x81\xa0]", b"[\x0c]", b"\x0c1", b"\x0b1", b"\xa01", "\u2060[]".encode(), "\u00a0[]".encode(), b"[]\x00", b"\x00", b"1\x00",
    b"\x1e{}\n", b'{"a":1}\n{"b":2}', "\u2028[]".encode(),
    # Two members of one name (RFC 7493, section 2.3), however it is written and however deep.
    b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a":{},"b":1,"a":[]}', b'[{"b":1},{"a":1,"a":1}]', b'{"a":1,"\\u0061":2}', b'{"":1,"":2}',
    b'{"\\"":1,"\\u0022":2}', b'{"a":{"b":1,"c":{"d":1,"d":2}}}', b'{"\\\\":1,"\\u005c":2}', b'{"a":"\\"","a":""}',
    b'{"a":[1,2,3],"a":null}', '{"é":1,"\\u00e9":2}'.encode(), b'{"a/b":1,"a\\/b":2}', b'{"\\u0041":"\\\\","A":"\\\\\\""}',
    b'{"a":1, "b":2, "c":3, "a":4}', b'{"__proto__":1,"__proto__":2}',
)  # fmt: skip
