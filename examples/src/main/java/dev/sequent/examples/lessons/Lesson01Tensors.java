package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import java.util.Arrays;

/**
 * A tensor is a value: a device, an element type, a shape and the elements. Functions of tensors make new tensors and change nothing.
 */
public final class Lesson01Tensors {
    private Lesson01Tensors() {}

    /** Runs the lesson. */
    public static void run() {
        // A device is where tensors live. openBest() takes the fastest backend that works on this machine; Device.open("reference") would
        // take the slow, simple one that all others are tested against.
        // A scope releases the tensors that are made inside it (lesson 05).
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            Tensor x = Tensor.of(device, new float[] {1, 2, 3, 4, 5, 6}, 2, 3); // elements in row-major order, then the sizes: (2, 3)
            say("x has shape %s and dtype %s", x.shape(), x.dtype());

            Tensor y = x.mul(10).add(x); // two new tensors; x is still what it was
            say("10 x + x = %s", Arrays.toString(y.toFloats()));
            say("x        = %s", Arrays.toString(x.toFloats()));

            broadcasting(device, x);
            dtypes(device, x);
            randomNumbers(device);
        }
    }

    /** A smaller tensor is repeated along the axes that it lacks, or where its size is 1: numpy's rule. */
    private static void broadcasting(Device device, Tensor x) {
        Tensor row = Tensor.of(device, new float[] {100, 200, 300});            // (3): fits every row of (2, 3)
        Tensor column = Tensor.of(device, new float[] {1000, 2000}, 2, 1);      // (2, 1): fits every column
        say("x + row    = %s", Arrays.toString(x.add(row).toFloats()));
        say("x + column = %s", Arrays.toString(x.add(column).toFloats()));
    }

    /** Nothing is converted behind your back: mixing dtypes is an error that names both. */
    private static void dtypes(Device device, Tensor x) {
        Tensor counts = Tensor.of(device, new int[] {1, 0, 2});
        try {
            x.mul(counts); // WRONG: F32 times I32
        } catch (DTypeException e) {
            say("wrong: %s", e.getMessage());
        }
        Tensor product = x.mul(counts.cast(DType.F32)); // right: say which one to convert
        say("right: x * counts = %s", Arrays.toString(product.toFloats()));
    }

    /**
     * A generator is a seed and a position. Drawing moves the position; going back to it gives the same numbers again, on every backend.
     */
    private static void randomNumbers(Device device) {
        Rng rng = new Rng(42);
        float[] first = rng.unit(device, DType.F32, 3).toFloats();
        float[] second = rng.unit(device, DType.F32, 3).toFloats();
        rng.seek(0);
        float[] again = rng.unit(device, DType.F32, 3).toFloats();
        say("drawn %s, then %s", Arrays.toString(first), Arrays.toString(second));
        say("after seek(0) the first three come again: %s", Arrays.equals(first, again));
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=01
    //
    // You should see that 10 x + x is [11, 22, ..., 66] while x is unchanged; a row of 100s added to both rows and a column of 1000s to all
    // columns; one error about F32 and I32, which names the operation; and "the first three come again: true".
}
