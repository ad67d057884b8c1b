"""The things that people ask for first, as the sets of pictures call them: what a small model should know best."""

ORDINARY = (
    "airplane", "alarm clock", "automobile", "banana", "bat", "bear", "bicycle", "bird", "birthday cake", "bouquet",
    "bread", "bus", "butterfly", "cactus", "camera", "candle", "carrot", "castle", "cat", "cat face", "cherries",
    "christmas tree", "cloud", "cow", "crab", "crescent moon", "crown", "deer", "dog", "dog face", "doughnut", "dragon",
    "duck", "eagle", "elephant", "evergreen tree", "fire", "fish", "flying saucer", "fox", "frog", "gem stone", "ghost",
    "globe showing europe-africa", "grapes", "green apple", "grinning face", "guitar", "hamburger", "helicopter",
    "honeybee", "horse", "hot beverage", "house", "ice cream", "jack-o-lantern", "key", "lady beetle", "lemon",
    "light bulb", "lion", "locomotive", "monkey", "mountain", "mouse", "mushroom", "octopus", "owl", "palm tree",
    "panda", "parrot", "pear", "penguin", "pig", "pineapple", "pizza", "rabbit", "racing car", "rainbow", "red apple",
    "red heart", "ring", "robot", "rocket", "rose", "sailboat", "shark", "ship", "skull",
    "smiling face with sunglasses", "snail", "snake", "snowman", "spider", "star", "strawberry", "sun", "sun with face",
    "sunflower", "sunrise", "sunset", "tiger", "tomato", "train", "tulip", "turtle", "umbrella", "unicorn", "violin",
    "watch", "watermelon", "whale", "wolf",
)  # fmt: skip
