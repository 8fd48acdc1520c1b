package dev.sequent.io;

import dev.sequent.type.SequentException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * A pull parser over UTF-8 bytes: the caller asks for what it expects, so that a hostile header fails at its first wrong
 * byte and never becomes a tree. Not safe for use by several threads.
 */
final class JsonParser {
    /** Longest member name in bytes; longer ones are never meant seriously. */
    static final int MAX_NAME = 1 << 16;
    private static final int MAX_NUMBER = 1024;

    /** Kind of the value that comes next. */
    enum Kind { OBJECT, ARRAY, STRING, NUMBER, BOOLEAN, NULL, INFINITY }

    private final ByteBuffer bytes;
    private final Json.Dialect dialect;
    private final String source;
    private final Function<String, ? extends SequentException> error;
    private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    private final boolean[] started = new boolean[Json.MAX_DEPTH + 1];
    private int depth;
    private int at;

    JsonParser(ByteBuffer bytes, Json.Dialect dialect, String source, Function<String, ? extends SequentException> error) {
        this.bytes = bytes.slice();
        this.dialect = dialect;
        this.source = source;
        this.error = error;
    }

    /** Reads any value as a tree. */
    Json value() {
        return switch (peek()) {
            case OBJECT -> {
                Map<String, Json> members = new LinkedHashMap<>();
                beginObject();
                for (String name = nextName(); name != null; name = nextName()) {
                    if (members.containsKey(name)) {
                        throw duplicate(name);
                    }
                    members.put(name, value());
                }
                yield new Json.Obj(members);
            }
            case ARRAY -> {
                List<Json> elements = new ArrayList<>();
                beginArray();
                while (nextElement()) {
                    elements.add(value());
                }
                yield new Json.Arr(elements);
            }
            case STRING -> new Json.Str(string());
            case NUMBER -> new Json.Num(number());
            case BOOLEAN -> new Json.Bool(truth());
            case NULL -> {
                word("null");
                yield Json.NULL;
            }
            case INFINITY -> infinity();
        };
    }

    /** Looks at the next value without consuming it. */
    Kind peek() {
        int c = peekByte();
        return switch (c) {
            case '{' -> Kind.OBJECT;
            case '[' -> Kind.ARRAY;
            case '"' -> Kind.STRING;
            case 't', 'f' -> Kind.BOOLEAN;
            case 'n' -> Kind.NULL;
            case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'I' -> {
                boolean infinite = c == 'I' || c == '-' && at + 1 < bytes.limit() && bytes.get(at + 1) == 'I';
                if (infinite && dialect == Json.Dialect.STRICT) {
                    throw unexpected("a JSON value");
                }
                yield infinite ? Kind.INFINITY : Kind.NUMBER;
            }
            default -> throw unexpected("a JSON value");
        };
    }

    void beginObject() {
        begin('{', "an object");
    }

    void beginArray() {
        begin('[', "an array");
    }

    /** Name of the next member, or null after the last one, whose closing brace is consumed. */
    String nextName() {
        int c = peekByte();
        if (c == '}') {
            at++;
            depth--;
            return null;
        }
        if (started[depth]) {
            expect(',', "',' or '}'");
            c = peekByte();
        }
        started[depth] = true;
        if (c != '"') {
            throw unexpected("a member name in quotes");
        }
        int from = at;
        String name = string();
        if (at - from > MAX_NAME) {
            at = from;
            throw failure("a member name of at most " + MAX_NAME + " bytes", "a longer one");
        }
        expect(':', "':' after a member name");
        return name;
    }

    /** True when another array element follows; false after the last one, whose closing bracket is consumed. */
    boolean nextElement() {
        if (peekByte() == ']') {
            at++;
            depth--;
            return false;
        }
        if (started[depth]) {
            expect(',', "',' or ']'");
        }
        started[depth] = true;
        return true;
    }

    /** Requires that only white space is left. */
    void end() {
        if (peekByte() >= 0) {
            throw unexpected("the end of the text");
        }
    }

    String string() {
        if (peekByte() != '"') {
            throw unexpected("a string");
        }
        int start = at;
        at++;
        int run = at;
        StringBuilder text = null;
        while (true) {
            int c = at < bytes.limit() ? bytes.get(at) : -1;
            if (at >= bytes.limit()) {
                at = start;
                throw failure("a closing quote", "a string that does not end");
            }
            if (c == '"') {
                String last = decode(run, at);
                at++;
                return text == null ? last : text.append(last).toString();
            }
            if (c == '\\') {
                text = (text == null ? new StringBuilder() : text).append(decode(run, at));
                escape(text);
                run = at;
            } else if (c >= 0 && c < 0x20) {
                throw unexpected("no control character in a string");
            } else {
                at++;
            }
        }
    }

    /** The text of a number. */
    String number() {
        peekByte();
        int start = at;
        if (byteAt(at) == '-') {
            at++;
        }
        if (byteAt(at) == '0') {
            at++;
        } else {
            digits();
        }
        if (byteAt(at) == '.') {
            at++;
            digits();
        }
        if (byteAt(at) == 'e' || byteAt(at) == 'E') {
            at++;
            if (byteAt(at) == '+' || byteAt(at) == '-') {
                at++;
            }
            digits();
        }
        if (byteAt(at) >= '0' && byteAt(at) <= '9') {
            throw unexpected("no digit after a leading zero");
        }
        if (at - start > MAX_NUMBER) {
            at = start;
            throw failure("a number of at most " + MAX_NUMBER + " digits", "a longer one");
        }
        return decode(start, at);
    }

    /** An integer of at least 0 that fits a long. */
    long count() {
        if (peek() != Kind.NUMBER) {
            throw unexpected("an integer of at least 0");
        }
        int start = at;
        String text = number();
        try {
            long value = Long.parseLong(text);
            if (value >= 0 && text.charAt(0) != '-') {
                return value;
            }
        } catch (NumberFormatException notLong) {
            // fractions, exponents and overflow all get the message below
        }
        at = start;
        throw failure("an integer from 0 to 2^63-1", JsonWriter.brief(text));
    }

    boolean truth() {
        boolean value = peekByte() == 't';
        word(value ? "true" : "false");
        return value;
    }

    /** The error that a name occurred before. */
    SequentException duplicate(String name) {
        return failure("each member name once", "another " + JsonWriter.brief(name));
    }

    /** An error at the current position. */
    SequentException failure(String expected, String given) {
        int line = 1;
        int column = 1;
        for (int i = 0; i < at; i++) {
            byte b = bytes.get(i);
            if (b == '\n') {
                line++;
                column = 1;
            } else if ((b & 0xC0) != 0x80) {
                column++;
            }
        }
        return error.apply("[" + source + "] expected " + expected + ", given " + given
                + " (line " + line + ", column " + column + ", byte " + at + ")");
    }

    /** An error that shows the byte at the current position. */
    SequentException unexpected(String expected) {
        if (at >= bytes.limit()) {
            return failure(expected, "the end of the text");
        }
        int c = bytes.get(at) & 0xFF;
        return failure(expected, c >= 0x20 && c < 0x7F ? "'" + (char) c + "'" : String.format("byte 0x%02X", c));
    }

    private Json infinity() {
        boolean negative = byteAt(at) == '-';
        word(negative ? "-Infinity" : "Infinity");
        return Json.object().with(JsonView.FLOAT_TAG, Json.of(negative ? "-Infinity" : "Infinity"));
    }

    private void begin(char bracket, String what) {
        if (peekByte() != bracket) {
            throw unexpected(what);
        }
        if (depth == Json.MAX_DEPTH) {
            throw failure("at most " + Json.MAX_DEPTH + " levels of nesting", "one more");
        }
        at++;
        depth++;
        started[depth] = false;
    }

    private void expect(char c, String what) {
        if (peekByte() != c) {
            throw unexpected(what);
        }
        at++;
    }

    private void word(String word) {
        for (int i = 0; i < word.length(); i++) {
            if (byteAt(at) != word.charAt(i)) {
                throw unexpected("'" + word + "'");
            }
            at++;
        }
    }

    private void digits() {
        if (byteAt(at) < '0' || byteAt(at) > '9') {
            throw unexpected("a digit");
        }
        while (byteAt(at) >= '0' && byteAt(at) <= '9') {
            at++;
        }
    }

    private void escape(StringBuilder text) {
        int start = at;
        int c = byteAt(at + 1);
        at += 2;
        switch (c) {
            case '"', '\\', '/' -> text.append((char) c);
            case 'b' -> text.append('\b');
            case 'f' -> text.append('\f');
            case 'n' -> text.append('\n');
            case 'r' -> text.append('\r');
            case 't' -> text.append('\t');
            case 'u' -> unicode(start, text);
            default -> {
                at = start;
                throw failure("an escape of JSON", "a backslash and something else");
            }
        }
    }

    private void unicode(int start, StringBuilder text) {
        char first = hex4(start);
        if (Character.isHighSurrogate(first) && byteAt(at) == '\\' && byteAt(at + 1) == 'u') {
            at += 2;
            char second = hex4(start);
            if (Character.isLowSurrogate(second)) {
                text.append(first).append(second);
                return;
            }
        }
        if (Character.isSurrogate(first)) {
            at = start;
            throw failure("a surrogate pair", String.format("a lone surrogate U+%04X", (int) first));
        }
        text.append(first);
    }

    private char hex4(int start) {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(byteAt(at), 16);
            if (digit < 0) {
                at = start;
                throw failure("four hexadecimal digits after \\u", "something else");
            }
            value = value << 4 | digit;
            at++;
        }
        return (char) value;
    }

    private String decode(int from, int to) {
        CharBuffer chars = CharBuffer.allocate(to - from);
        ByteBuffer part = bytes.slice(from, to - from);
        CoderResult result = decoder.reset().decode(part, chars, true);
        if (result.isError()) {
            at = from + part.position();
            throw unexpected("valid UTF-8");
        }
        return chars.flip().toString();
    }

    /** The next byte that is not white space, or -1 at the end; {@code at} moves onto it. */
    private int peekByte() {
        while (at < bytes.limit()) {
            int c = bytes.get(at) & 0xFF;
            if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
                return c;
            }
            at++;
        }
        return -1;
    }

    private int byteAt(int index) {
        return index < bytes.limit() ? bytes.get(index) & 0xFF : -1;
    }
}
