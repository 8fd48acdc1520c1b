package dev.sequent.examples.lessons;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Lists the lessons, or runs the one whose number is the first argument. */
public final class Lessons {
    private Lessons() {}

    /** A lesson: what it teaches, and its program. */
    record Lesson(String idea, Runnable program) {}

    static Map<Integer, Lesson> all() {
        Map<Integer, Lesson> lessons = new TreeMap<>();
        lessons.put(1, new Lesson("a tensor is a value: device, dtype, shape, and functions that make new tensors", Lesson01Tensors::run));
        lessons.put(2, new Lesson("shapes: every line that changes one says so, and reshape is not transpose", Lesson02Shapes::run));
        lessons.put(3, new Lesson("derivatives of ordinary code, and three ways to lose them", Lesson03Autograd::run));
        lessons.put(4, new Lesson("how to find a wrong derivative", Lesson04GradientCheck::run));
        lessons.put(5, new Lesson("who owns a tensor, and how a loop keeps its memory constant", Lesson05Memory::run));
        lessons.put(6, new Lesson("one recurrence in three forms: loop, convolution, matrix", Lesson06RecurrenceByHand::run));
        lessons.put(7, new Lesson("S4D: many damped oscillations, trained as a convolution, run as a recurrence", Lesson07S4D::run));
        lessons.put(8, new Lesson("the selective scan: every token chooses what the state keeps", Lesson08SelectiveScan::run));
        lessons.put(9, new Lesson("attention: exact lookup by content, and what it costs", Lesson09Attention::run));
        lessons.put(10, new Lesson("a hybrid is a string of letters", Lesson10Hybrid::run));
        lessons.put(11, new Lesson("what is inside a checkpoint, byte by byte", Lesson11Checkpoint::run));
        return lessons;
    }

    /** Runs the lesson {@code args[0]}, or lists all. */
    public static void main(String[] args) {
        Lesson lesson = args.length == 1 && args[0].matches("\\d{1,3}") ? all().get(Integer.valueOf(args[0])) : null;
        if (lesson != null) {
            lesson.program().run();
            return;
        }
        say("Lessons; run one by its number, for example: mvn -q -Plessons process-classes -Dlesson=06");
        all().forEach((number, l) -> say("  %02d  %s", number, l.idea()));
        if (args.length > 0) {
            System.err.println("There is no lesson '" + String.join(" ", args) + "'.");
            System.exit(2);
        }
    }

    /** Prints a line in the same format everywhere. */
    static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }
}
