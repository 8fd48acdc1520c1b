package dev.sequent.io;

import java.util.Iterator;
import java.util.Map;

/** Writes JSON text; member order is that of the value. */
final class JsonWriter {
    private static final int BRIEF = 60;

    private final StringBuilder out = new StringBuilder();
    private final boolean pretty;

    private JsonWriter(boolean pretty) {
        this.pretty = pretty;
    }

    static String compact(Json value) {
        JsonWriter writer = new JsonWriter(false);
        writer.value(value, 0);
        return writer.out.toString();
    }

    static String pretty(Json value) {
        JsonWriter writer = new JsonWriter(true);
        writer.value(value, 0);
        return writer.out.append('\n').toString();
    }

    /** Quoted text for an error message, cut where it gets long. */
    static String brief(String text) {
        JsonWriter writer = new JsonWriter(false);
        if (text.length() <= BRIEF) {
            writer.string(text);
            return writer.out.toString();
        }
        int cut = Character.isHighSurrogate(text.charAt(BRIEF - 1)) ? BRIEF - 1 : BRIEF;
        writer.string(text.substring(0, cut));
        return writer.out + "... (" + text.length() + " characters)";
    }

    private void value(Json value, int indent) {
        switch (value) {
            case Json.Obj o -> object(o.members(), indent);
            case Json.Arr a -> array(a, indent);
            case Json.Str s -> string(s.value());
            case Json.Num n -> out.append(n.text());
            case Json.Bool b -> out.append(b.value());
            case Json.Null _ -> out.append("null");
        }
    }

    private void object(Map<String, Json> members, int indent) {
        out.append('{');
        boolean first = true;
        for (Map.Entry<String, Json> member : members.entrySet()) {
            out.append(first ? "" : ",");
            first = false;
            line(indent + 1);
            string(member.getKey());
            out.append(pretty ? ": " : ":");
            value(member.getValue(), indent + 1);
        }
        if (!first) {
            line(indent);
        }
        out.append('}');
    }

    private void array(Json.Arr array, int indent) {
        boolean flat = array.elements().stream().noneMatch(e -> e instanceof Json.Obj || e instanceof Json.Arr);
        out.append('[');
        for (Iterator<Json> i = array.elements().iterator(); i.hasNext();) {
            if (!flat) {
                line(indent + 1);
            }
            value(i.next(), indent + 1);
            if (i.hasNext()) {
                out.append(flat && pretty ? ", " : ",");
            }
        }
        if (!flat) {
            line(indent);
        }
        out.append(']');
    }

    private void line(int indent) {
        if (pretty) {
            out.append('\n').repeat("  ", indent);
        }
    }

    private void string(String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c < 0x20 || c == 0x7F) {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
