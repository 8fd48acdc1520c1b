import dev.sequent.type.Shape;

public class Hybrid {
    public static void main(String[] args) {
        System.out.println(Shape.of(2, 3));
    }
}
